import type { DescMethod } from "@bufbuild/protobuf";
import type { MethodModel, ServiceModel } from "../model/declarations.ts";
import { memberNames } from "../model/file-names.ts";
import { type EmitContext, initType } from "./context.ts";
import { rpcDoc, sentence, serviceDoc } from "./documentation.ts";
import { type Code, columnAfter, fits, list, propertyKey } from "./layout.ts";
import { callsStatement } from "./schema.ts";
import type { Parameter, Signature } from "./writer.ts";

/** The runtime's name for each kind of rpc, on client and server. */
export const callOf: Record<DescMethod["methodKind"], string> = {
  unary: "unary",
  server_streaming: "serverStream",
  client_streaming: "clientStream",
  bidi_streaming: "bidi",
};

/** Whether a call sends a stream of requests. */
export function streamsRequests({ methodKind }: DescMethod): boolean {
  return methodKind === "client_streaming" || methodKind === "bidi_streaming";
}

/** Whether a call receives a stream of responses. */
export function streamsResponses({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming" || methodKind === "bidi_streaming";
}

/**
 * Writes the client of a service and the function that creates it; nothing when all rpcs are
 * subscribers.
 */
export function emitClient(context: EmitContext, service: ServiceModel): void {
  const { writer, names } = context;
  const methods = service.rpcs.filter((rpc) => rpc.kind === "method");
  if (methods.length === 0) return;
  const members = memberNames(service);
  const { client, createClient } = names.services.get(service.desc)!;
  writer.interface(
    { name: client, exported: true, doc: serviceDoc(service.desc) },
    methods.map((method) => ({
      ...clientSignature(context, method, members.get(method.desc)!),
      doc: rpcDoc(method),
    })),
  );
  writer.function(
    {
      name: createClient,
      exported: true,
      doc: sentence(`Creates a client for the service ${service.desc.typeName}.`, service.desc),
    },
    {
      parameters: [{ name: "client", type: writer.type("Client") }],
      returns: writer.declared(client),
    },
    [
      callsStatement(context, service.desc),
      "  return {",
      ...methods.map(({ desc }) => {
        const request = streamsRequests(desc) ? "requests" : "request";
        return memberCall(
          [propertyKey(members.get(desc)!), `: (${request}, options) =>`],
          `client.${callOf[desc.methodKind]}`,
          [writer.declared(names.methods.get(desc)!), request, "options"],
        );
      }),
      "  };",
    ],
  );
}

function clientSignature(context: EmitContext, { desc }: MethodModel, name: string): Signature {
  const { writer } = context;
  const init = initType(context, desc.input);
  const stream = "AsyncIterable";
  const request: Parameter = streamsRequests(desc)
    ? {
        name: "requests",
        type: [stream, "<", init, "> | Iterable<", init, ">"],
      }
    : { name: "request", type: init };
  const result = streamsResponses(desc) ? stream : "Promise";
  return {
    name,
    parameters: [request, { name: "options", type: writer.type("CallOptions"), optional: true }],
    returns: [result, "<", writer.shape(desc.output), ">"],
  };
}

/** `    head call(args),`, on several lines where it does not fit on one. */
function memberCall(head: Code, call: string, args: readonly Code[]): Code {
  const style = { open: "(", close: ")", indent: 6, trailingComma: true };
  const flat = [call, "(", args.flatMap((arg, index) => (index === 0 ? [arg] : [", ", arg])), ")"];
  if (fits(flat, { before: columnAfter(head, 4) + 1, after: 1 }))
    return ["    ", head, " ", flat, ","];
  const broken = list(args, style, { before: "      ".length + call.length, after: 1 });
  return ["    ", head, "\n      ", call, broken, ","];
}
