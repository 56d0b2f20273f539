import type { Broker } from "@micro-es/runtime";
import type { OutgoingEvent } from "@micro-es/runtime/driver";
import { DevelopmentIssuer } from "../auth/development-issuer.ts";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { eventSchemaOptions } from "../events/event-schema-options.ts";
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
      help: "full name of the message, if the schema has no topic",
    },
    key: {
      type: "string",
      value: "text",
      help: "ordering key; default the key field of the schema",
    },
    header: {
      type: "string",
      short: "H",
      multiple: true,
      value: "key: value",
      help: "metadata of the event",
    },
    raw: { type: "boolean", help: "send the text unchanged, without a schema" },
    "content-type": { type: "string", value: "type", help: "of --raw; default text/plain" },
  },
  details:
    "The schema comes from a running service that subscribes to the topic, unless an option is set. The HTTP broker\ndelivers an event only to current subscribers and does not store it. Within a project that `micro auth dev` was run\nin, events are signed by the key of its issuer.",
  examples: [
    [`micro pub greeter.greeted '{"name":"Ada"}'`, "publish an event of a schema"],
    ["micro pub notes hello --raw", "publish raw bytes"],
  ],
  async run({ arguments: [topic = "", word], options, output, environment, signal }) {
    const metadata = readHeaders(options.header ?? []);
    const request = await oneRequest(word);
    output.progress(`publishing to ${topic}`);
    await using backend = await openBackendParts(environment, options);
    const event =
      options.raw === true
        ? raw(request.text, options["content-type"])
        : await (await import("../events/outgoing-event.ts")).eventOfJson(
            backend,
            topic,
            request,
            options,
            signal,
          );
    const key = options.key ?? event.key;
    const broker = await signing(backend.broker);
    await broker.publish(
      topic,
      { ...event, metadata, ...(key === undefined ? {} : { key }) },
      { signal },
    );
    output.note(`published to ${topic} over ${backend.broker.name}`);
  },
});

/** Within a project with a development issuer, events are signed by the key that it trusts. */
async function signing(broker: Broker): Promise<Broker> {
  const sign = await (await DevelopmentIssuer.find(process.cwd()))?.eventSigner();
  if (sign === undefined) return broker;
  const { signedBroker } = await import("@micro-es/runtime/auth");
  return signedBroker(broker, { sign });
}

function raw(text: string, contentType = "text/plain"): OutgoingEvent {
  return { body: Buffer.from(text), contentType, typeName: "" };
}
