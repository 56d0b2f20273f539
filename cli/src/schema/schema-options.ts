import type { OptionSpecs } from "../command.ts";

/** Options for the source of a schema; the default is the server's reflection. */
export const schemaOptions = {
  proto: { type: "string", value: "path", help: "the schema: a .proto file, or a folder of them" },
  "descriptor-set": {
    type: "string",
    value: "file",
    help: "the schema: output of `buf build -o file.binpb`",
  },
} as const satisfies OptionSpecs;

export interface SchemaOptions {
  readonly proto?: string;
  readonly "descriptor-set"?: string;
}
