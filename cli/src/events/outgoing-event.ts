import { toBinary } from "@bufbuild/protobuf";
import type { OutgoingEvent } from "@micro-es/runtime";
import { UsageError } from "../command.ts";
import type { Fleet } from "../fleet.ts";
import type { RequestText } from "../requests.ts";
import { readMessage } from "../schema/json-message.ts";
import { eventSchema, keyFieldOf, messageOfTopic } from "./event-schema.ts";
import type { EventSchemaOptions } from "./event-schema-options.ts";

/**
 * Makes an event of JSON, by the schema of its topic.
 *
 * @throws UsageError where nothing says what the topic's events are, and for JSON that is none of them.
 */
export async function eventOfJson(
  fleet: Fleet,
  topic: string,
  { text, where }: RequestText,
  options: EventSchemaOptions & { readonly type?: string },
  signal: AbortSignal,
): Promise<OutgoingEvent> {
  const schema = await eventSchema(fleet, topic, options, signal);
  if (schema === undefined) {
    throw new UsageError(
      `no service that runs subscribes to ${topic}; --proto or --service says what its events are, --raw sends text as it is`,
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
