import { type TokenOptions, tokenOptions } from "../auth/token-options.ts";
import type { OptionSpecs } from "../command.ts";
import { type SchemaOptions, schemaOptions } from "../schema/schema-options.ts";

/**
 * Options for the messages of a topic; the default is the schema of a service that subscribes to
 * it.
 */
export const eventSchemaOptions = {
  ...schemaOptions,
  service: { type: "string", value: "name", help: "the service whose schema has the event" },
  ...tokenOptions,
} as const satisfies OptionSpecs;

export interface EventSchemaOptions extends SchemaOptions, TokenOptions {
  readonly service?: string;
}
