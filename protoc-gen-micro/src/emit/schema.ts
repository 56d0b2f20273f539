import type { DescService } from "@bufbuild/protobuf";
import { schemaDigest } from "../schema/digest.ts";
import type { EmitContext } from "./context.ts";
import { type Code, expanded, fits, join, list, literal } from "./layout.ts";

/** The statement that reports the schema of a client's service to the runtime. */
export function callsStatement({ writer }: EmitContext, service: DescService): Code {
  const args = ["client", literal(service.typeName), literal(schemaDigest(service))];
  const style = { open: "(", close: ")", indent: 2, trailingComma: true };
  return ["  ", writer.value("calls"), list(args, style, { before: 7, after: 1 }), ";"];
}

/**
 * The statement that reports the schema of a served service to the runtime, which also checks that
 * the handler has all methods.
 */
export function servesStatement(
  { writer }: EmitContext,
  service: DescService,
  methods: readonly string[],
): Code {
  const name = literal(service.typeName);
  const digest = literal(schemaDigest(service));
  const serves = ["  ", writer.value("serves"), "("];
  const args = ["server", name, digest, "handler"];
  const items = methods.map(literal);
  const style = { open: "[", close: "]", indent: 2, trailingComma: true };
  const flat = [serves, join([...args, ["[", join(items, ", "), "]"]], ", "), ");"];
  if (fits(flat, { before: 0, after: 0 })) return flat;
  const head = [serves, join(args, ", "), ", "];
  if (fits([head, "["], { before: 0, after: 0 })) return [head, expanded(items, style), ");"];
  const last = list(items, { ...style, indent: 4 }, { before: 4, after: 1 });
  const inner = { open: "(", close: ")", indent: 2, trailingComma: true };
  return ["  ", writer.value("serves"), expanded([...args, last], inner), ";"];
}
