import type { MethodModel, ServiceModel } from "../model/declarations.ts";
import { memberNames } from "../model/file-names.ts";
import { callOf, streamsRequests, streamsResponses } from "./client.ts";
import { type EmitContext, initType } from "./context.ts";
import { rpcDoc, sentence, serviceDoc } from "./documentation.ts";
import { type Code, fits, propertyOf } from "./layout.ts";
import { servesStatement } from "./schema.ts";
import { subscriberSignature, subscribeStatement } from "./subscribers.ts";
import type { Parameter, Signature } from "./writer.ts";

/**
 * Writes the interface that implementations of a service implement, and the function that registers
 * one.
 */
export function emitHandler(context: EmitContext, service: ServiceModel): void {
  const { writer, names } = context;
  if (service.rpcs.length === 0) return;
  const members = memberNames(service);
  const { handler, registerHandler } = names.services.get(service.desc)!;
  writer.interface(
    { name: handler, exported: true, doc: handlerDoc(context, service) },
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
        { name: "handler", type: writer.declared(handler) },
      ],
      returns: "void",
    },
    [
      servesStatement(
        context,
        service.desc,
        service.rpcs.map(({ desc }) => members.get(desc)!),
      ),
      ...service.rpcs.map((rpc) => {
        const member = members.get(rpc.desc)!;
        return rpc.kind === "method"
          ? registerStatement(context, rpc, member)
          : subscribeStatement(context, service, rpc, member);
      }),
    ],
  );
}

/** The service's own comment is on the client, if there is one. */
function handlerDoc({ names, options }: EmitContext, { desc, rpcs }: ServiceModel): string {
  const hasClient = options.client && rpcs.some((rpc) => rpc.kind === "method");
  if (!hasClient) return serviceDoc(desc);
  const { registerHandler } = names.services.get(desc)!;
  const text = `Handler for the service ${desc.typeName}; register it with {@link ${registerHandler}}.`;
  return sentence(text, desc);
}

/** Whether only callers with an account reach the handler of a method. */
function needsAccount({ policy }: MethodModel): boolean {
  return policy.auth !== undefined && policy.auth.public !== true;
}

function handlerSignature(context: EmitContext, rpc: MethodModel, name: string): Signature {
  const { writer } = context;
  const { desc } = rpc;
  const received = needsAccount(rpc) ? "AuthenticatedContext" : "CallContext";
  const shape = writer.shape(desc.input);
  const stream = "AsyncIterable";
  const request: Parameter = streamsRequests(desc)
    ? { name: "requests", type: [stream, "<", shape, ">"] }
    : { name: "request", type: shape };
  const result = streamsResponses(desc) ? stream : writer.type("Awaitable");
  return {
    name,
    parameters: [request, { name: "context", type: writer.type(received) }],
    returns: [result, "<", initType(context, desc.output), ">"],
  };
}

/**
 * Each call looks the method up on the handler, which keeps `this` and lets tests replace methods
 * later.
 */
function registerStatement(context: EmitContext, rpc: MethodModel, member: string): Code {
  const { writer, names } = context;
  const { desc } = rpc;
  const request = streamsRequests(desc) ? "requests" : "request";
  const method = writer.declared(names.methods.get(desc)!);
  const call = `server.${callOf[desc.methodKind]}(`;
  const take = `(${request}, context) =>`;
  const passed = needsAccount(rpc) ? [writer.value("authenticated"), "(context)"] : "context";
  const forward = [`${propertyOf("handler", member)}(${request}, `, passed, ")"];
  const head = [`  ${call}`, method, `, ${take}`];
  const flat = [head, " ", forward, ");"];
  if (fits(flat, { before: 0, after: 0 })) return flat;
  if (fits(head, { before: 0, after: 0 })) return [head, "\n    ", forward, ",\n  );"];
  const handle = [`    ${take} `, forward, ","];
  const wrapped = [`    ${take}\n      `, forward, ","];
  const last = fits(handle, { before: 0, after: 0 }) ? handle : wrapped;
  return [`  ${call}\n    `, method, ",\n", last, "\n  );"];
}
