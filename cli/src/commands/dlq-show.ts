import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { deadLettersOf, noSuchLetter, summaryOf } from "../events/dead-letters.ts";
import { eventSchemaOptions } from "../events/event-schema-options.ts";
import { joined, styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "topic", help: "the dead letter topic, such as orders.dead" },
    { name: "cursor", help: "its cursor in `micro dlq ls`" },
  ],
  options: {
    ...eventSchemaOptions,
    raw: { type: "boolean", help: "show the raw body, without a schema" },
  },
  details:
    "The schema comes from a running service that subscribes to the event's topic, unless an option is set.",
  examples: [["micro dlq show orders.dead 17", "the event, its metadata, and the reason"]],
  async run({ arguments: [topic = "", cursor = ""], options, output, environment, signal }) {
    output.progress(`reading ${topic}`);
    await using backend = await openBackendParts(environment, options);
    const { contentOf, contentText } = await import("../events/event-body.ts");
    const { eventSchema } = await import("../events/event-schema.ts");
    const letter = await deadLettersOf(backend.broker).read(topic, cursor);
    if (letter === undefined) throw noSuchLetter(topic, cursor);
    const schema =
      options.raw === true ? undefined : await eventSchema(backend, letter.topic, options, signal);
    const content = contentOf(letter, schema);
    const metadata = letter.metadata.toObject();
    const summary = summaryOf(letter);
    output.result({ ...summary, metadata, ...content }, () => {
      const { key = "", ...others } = summary;
      const rows: [string, string][] = [
        ["topic", others.topic],
        ["id", others.id],
        ["key", key],
        ["type", others.type || others.contentType],
        ["failed", `${others.at}, after ${others.attempts} attempts`],
        ["reason", others.reason],
        ...Object.entries(metadata).map(([name, value]): [string, string] => [name, String(value)]),
      ];
      const shown = rows
        .filter(([, value]) => value !== "")
        .map(([name, value]) => text`${styled("dim", `${name}:`)} ${value}`);
      return joined([...shown, "", contentText(content, true)]);
    });
  },
});
