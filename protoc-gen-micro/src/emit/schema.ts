import type { DescService } from "@bufbuild/protobuf";
import { schemaDigest } from "../schema/digest.ts";
import type { EmitContext } from "./context.ts";
import { type Code, fits, literal } from "./layout.ts";

/** The statement that tells the runtime by which schema of a service a client calls, or a server answers. */
export function schemaStatement(
  { writer }: EmitContext,
  role: "calls" | "serves",
  owner: string,
  service: DescService,
): Code {
  const name = literal(service.typeName);
  const digest = literal(schemaDigest(service));
  const call = ["  ", writer.value(role)];
  const flat = [call, `(${owner}, ${name}, ${digest});`];
  if (fits(flat, { before: 0, after: 0 })) return flat;
  return [call, `(\n    ${owner},\n    ${name},\n    ${digest},\n  );`];
}
