import type { OutgoingEvent } from "@micro-es/runtime";
import { type Command, defineCommand } from "../command.ts";
import { eventSchemaOptions } from "../events/event-schema-options.ts";
import { openFleet } from "../fleet.ts";
import { readHeaders } from "../headers.ts";
import { oneRequest } from "../requests.ts";

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
    const request = await oneRequest(word);
    output.progress(`publishing to ${topic}`);
    await using fleet = await openFleet(environment);
    const event =
      options.raw === true
        ? raw(request.text, options["content-type"])
        : await (await import("../events/outgoing-event.ts")).eventOfJson(
            fleet,
            topic,
            request,
            options,
            signal,
          );
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
