import { toBinary } from "@bufbuild/protobuf";
import type { OutgoingEvent } from "@micro-es/runtime";
import { type Command, defineCommand, UsageError } from "../command.ts";
import {
  eventSchema,
  eventSchemaOptions,
  keyFieldOf,
  messageOfTopic,
} from "../events/event-schema.ts";
import { type Fleet, openFleet } from "../fleet.ts";
import { readHeaders } from "../headers.ts";
import { oneRequest } from "../requests.ts";
import { readMessage } from "../schema/json-message.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "topic", help: "such as greeter.greeted" },
    { name: "event", optional: true, help: "JSON, @file, or - for standard input" },
  ],
  options: {
    ...eventSchemaOptions,
    type: {
      type: "string",
      value: "name",
      help: "full name of the message, where the schema names no topic",
    },
    key: {
      type: "string",
      value: "text",
      help: "orders events; default the field that the schema names",
    },
    header: {
      type: "string",
      short: "H",
      multiple: true,
      value: "key: value",
      help: "metadata of the event",
    },
    raw: { type: "boolean", help: "send the text as it is, without a schema" },
    "content-type": { type: "string", value: "type", help: "of --raw; default text/plain" },
  },
  details:
    "The schema comes from a running service that subscribes to the topic, unless an option gives one. With the HTTP broker an\nevent reaches who subscribes now; nobody keeps it.",
  examples: [
    [`micro pub greeter.greeted '{"name":"Ada"}'`, "an event of a schema"],
    ["micro pub notes hello --raw", "bytes, as they are"],
  ],
  async run({ arguments: [topic = "", word], options, output, environment, signal }) {
    const metadata = readHeaders(options.header ?? []);
    await using fleet = await openFleet(environment);
    output.progress(`publishing to ${topic}`);
    const { text, where } = await oneRequest(word);
    const event =
      options.raw === true
        ? raw(text, options["content-type"])
        : await typed(fleet, topic, text, where, options, signal);
    const key = options.key ?? event.key;
    await fleet.broker.publish(
      topic,
      { ...event, metadata, ...(key === undefined ? {} : { key }) },
      { signal },
    );
    output.note(`published to ${topic} over ${fleet.broker.name}`);
  },
});

function raw(text: string, contentType = "text/plain"): OutgoingEvent {
  return { body: Buffer.from(text), contentType, typeName: "" };
}

async function typed(
  fleet: Fleet,
  topic: string,
  text: string,
  where: string,
  options: Parameters<typeof eventSchema>[2] & { readonly type?: string },
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
