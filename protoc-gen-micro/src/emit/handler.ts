import type { MethodModel, ServiceModel } from "../model/declarations.ts";
import { memberNames } from "../model/file-names.ts";
import { callOf, streamsRequests, streamsResponses } from "./client.ts";
import { type EmitContext, initType } from "./context.ts";
import { rpcDoc, sentence, serviceDoc } from "./documentation.ts";
import { type Code, fits } from "./layout.ts";
import { schemaStatement } from "./schema.ts";
import { subscriberSignature, subscribeStatement } from "./subscribers.ts";
import type { Parameter, Signature } from "./writer.ts";

/** Writes the interface that a service's implementation has, and what registers one. */
export function emitHandler(context: EmitContext, service: ServiceModel): void {
  const { writer, names } = context;
  if (service.rpcs.length === 0) return;
  const members = memberNames(service);
  const { handler, registerHandler } = names.services.get(service.desc)!;
  writer.interface(
    { name: handler, exported: true, doc: serviceDoc(service.desc) },
    service.rpcs.map((rpc) => {
      const member = members.get(rpc.desc)!;
      const signature =
        rpc.kind === "method"
          ? handlerSignature(context, rpc, member)
          : subscriberSignature(context, rpc, member);
      return { ...signature, doc: rpcDoc(rpc) };
    }),
  );
  writer.function(
    {
      name: registerHandler,
      exported: true,
      doc: sentence(`Registers a handler for the service ${service.desc.typeName}.`, service.desc),
    },
    {
      parameters: [
        { name: "server", type: writer.type("Server") },
        { name: "handler", type: writer.own(handler) },
      ],
      returns: "void",
    },
    [
      schemaStatement(context, "serves", "server", service.desc),
      ...service.rpcs.map((rpc) => {
        const member = members.get(rpc.desc)!;
        return rpc.kind === "method"
          ? registerStatement(context, rpc, member)
          : subscribeStatement(context, service, rpc, member);
      }),
    ],
  );
}

function handlerSignature(context: EmitContext, { desc }: MethodModel, name: string): Signature {
  const { writer } = context;
  const shape = writer.shape(desc.input);
  const stream = writer.own("AsyncIterable");
  const request: Parameter = streamsRequests(desc)
    ? { name: "requests", type: [stream, "<", shape, ">"] }
    : { name: "request", type: shape };
  const result = streamsResponses(desc) ? stream : writer.type("Awaitable");
  return {
    name,
    parameters: [request, { name: "context", type: writer.type("CallContext") }],
    returns: [result, "<", initType(context, desc.output), ">"],
  };
}

/** The call goes through the handler each time, so that it keeps its `this` and can be spied on later. */
function registerStatement(context: EmitContext, { desc }: MethodModel, member: string): Code {
  const { writer, names } = context;
  const request = streamsRequests(desc) ? "requests" : "request";
  const method = writer.own(names.methods.get(desc)!);
  const call = `server.${callOf[desc.methodKind]}(`;
  const take = `(${request}, context) =>`;
  const forward = `handler.${member}(${request}, context)`;
  const head = [`  ${call}`, method, `, ${take}`];
  const flat = [head, ` ${forward});`];
  if (fits(flat, { before: 0, after: 0 })) return flat;
  if (fits(head, { before: 0, after: 0 })) return [head, `\n    ${forward},\n  );`];
  return [`  ${call}\n    `, method, `,\n    ${take} ${forward},\n  );`];
}
