import type { OptionSpecs } from "../command.ts";

/** The options that say where a schema comes from; without one the server is asked for its own. */
export const schemaOptions = {
  proto: { type: "string", value: "path", help: "the schema: a .proto file, or a folder of them" },
  "descriptor-set": {
    type: "string",
    value: "file",
    help: "the schema: what `buf build -o file.binpb` writes",
  },
} as const satisfies OptionSpecs;

export interface SchemaOptions {
  readonly proto?: string;
  readonly "descriptor-set"?: string;
}
