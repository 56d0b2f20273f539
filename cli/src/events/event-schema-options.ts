import type { OptionSpecs } from "../command.ts";
import { type SchemaOptions, schemaOptions } from "../schema/schema-options.ts";

/** The options that say which messages a topic has; without one a service that subscribes to it is asked. */
export const eventSchemaOptions = {
  ...schemaOptions,
  service: { type: "string", value: "name", help: "the service whose schema has the event" },
} as const satisfies OptionSpecs;

export interface EventSchemaOptions extends SchemaOptions {
  readonly service?: string;
}
