import type { DescMessage } from "@bufbuild/protobuf";
import type { MethodModel, ServiceModel } from "../model/declarations.ts";
import type { RetryPolicy } from "../rules/method-policy.ts";
import { describedCodec, type EmitContext, initType } from "./context.ts";
import { sentence } from "./documentation.ts";
import { type Code, expanded, labelled, list, literal } from "./layout.ts";

/**
 * Writes a constant for each method of a service, with everything that the runtime needs to know
 * about it.
 */
export function emitMethods(context: EmitContext, service: ServiceModel): void {
  const { writer, names, options } = context;
  for (const rpc of service.rpcs) {
    if (rpc.kind !== "method") continue;
    const { desc } = rpc;
    const args = [desc.input, desc.output].flatMap((message) => [
      writer.shape(message),
      initType(context, message),
    ]);
    const doc = options.exportMethods
      ? sentence(`Describes ${desc.toString()} to the runtime.`, service.desc)
      : "";
    writer.constant(
      { name: names.methods.get(desc)!, exported: options.exportMethods, doc },
      { name: writer.type("Method"), args },
      (_, indent) =>
        expanded(members(context, service, rpc, indent + 2), {
          open: "{",
          close: "}",
          indent,
          trailingComma: true,
        }),
    );
  }
}

function members(
  context: EmitContext,
  service: ServiceModel,
  rpc: MethodModel,
  indent: number,
): Code[] {
  const { desc, policy } = rpc;
  const codec = (label: string, message: DescMessage) =>
    labelled(label, indent, (line) => describedCodec(context, message, line));
  const code: Code[] = [
    `service: ${literal(service.registryName)}`,
    `name: ${literal(`${service.desc.typeName}/${desc.name}`)}`,
    `kind: ${literal(desc.methodKind)}`,
    codec("input: ", desc.input),
    codec("output: ", desc.output),
    `idempotency: ${literal(policy.idempotency)}`,
  ];
  if (policy.timeoutMs !== undefined) code.push(`timeoutMs: ${policy.timeoutMs}`);
  if (policy.retry !== undefined) code.push(["retry: ", retry(policy.retry)]);
  if (policy.auth !== undefined) code.push(["auth: ", auth(policy.auth)]);
  return code;
}

function retry({ attempts, backoffMs, maxBackoffMs, on }: RetryPolicy): Code {
  const codes = `[${on.map(literal).join(", ")}]`;
  return object("retry: ", [
    `attempts: ${attempts}`,
    `backoffMs: ${backoffMs}`,
    `maxBackoffMs: ${maxBackoffMs}`,
    `on: ${codes}`,
  ]);
}

function auth(rule: NonNullable<MethodModel["policy"]["auth"]>): Code {
  if (rule.public === true) return "{ public: true }";
  if (rule.scopes === undefined) return "{}";
  return object("auth: ", [`scopes: [${rule.scopes.map(literal).join(", ")}]`]);
}

function object(label: string, members: readonly Code[]): Code {
  const style = { open: "{ ", close: " }", indent: 2, trailingComma: true };
  return list(members, style, { before: 2 + label.length, after: 1 });
}
