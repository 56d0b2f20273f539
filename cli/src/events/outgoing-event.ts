import { toBinary } from "@bufbuild/protobuf";
import type { OutgoingEvent } from "@micro-es/runtime/driver";
import type { BackendParts } from "../backend-parts.ts";
import { UsageError } from "../errors.ts";
import type { RequestText } from "../requests.ts";
import { readMessage } from "../schema/json-message.ts";
import { eventSchema, keyFieldOf, messageOfTopic } from "./event-schema.ts";
import type { EventSchemaOptions } from "./event-schema-options.ts";

/**
 * Creates an event from JSON, by the schema of its topic.
 *
 * @throws UsageError if the topic's type is unknown, and for JSON that does not match it.
 */
export async function eventOfJson(
  backend: BackendParts,
  topic: string,
  { text, where }: RequestText,
  options: EventSchemaOptions & { readonly type?: string },
  signal: AbortSignal,
): Promise<OutgoingEvent> {
  const schema = await eventSchema(backend, topic, options, signal);
  if (schema === undefined) {
    throw new UsageError(
      `no running service subscribes to ${topic}; set --proto or --service for its schema, or send plain text with --raw`,
    );
  }
  const { type } = options;
  const message = type === undefined ? messageOfTopic(schema, topic) : schema.getMessage(type);
  if (message === undefined) throw new UsageError(`the schema has no message ${type}`);
  const event = readMessage(message, text, schema, where);
  const field = keyFieldOf(message);
  const key =
    field === undefined ? undefined : String((event as unknown as Record<string, unknown>)[field]);
  return {
    body: toBinary(message, event),
    contentType: "application/protobuf",
    typeName: message.typeName,
    ...(key === undefined ? {} : { key }),
  };
}
