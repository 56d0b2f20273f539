import type { IncomingEvent } from "@micro-es/runtime";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { eventSchemaOptions } from "../events/event-schema-options.ts";
import { openFleet } from "../fleet.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "topic", help: "such as greeter.greeted" }],
  options: {
    ...eventSchemaOptions,
    queue: {
      type: "string",
      value: "name",
      help: "take part in a queue group, and so take events from its members",
    },
    from: {
      type: "string",
      value: "first|time|number",
      help: "where to begin, where the broker keeps events",
    },
    count: { type: "string", value: "number", help: "end after so many events" },
    raw: { type: "boolean", help: "show bodies as they are, without a schema" },
  },
  details: "Without --queue it gets a copy of each event and takes none away from anybody.",
  examples: [
    ["micro sub greeter.greeted", "a line an event, until Ctrl-C"],
    ["micro sub orders --from first --json", "all that a JetStream broker has kept"],
  ],
  async run({ arguments: [topic = ""], options, output, environment, signal }) {
    const count = readCount(options.count);
    const from = readFrom(options.from);
    output.progress(`subscribing to ${topic}`);
    await using fleet = await openFleet(environment);
    const { contentOf, contentText } = await import("../events/event-body.ts");
    const { eventSchema } = await import("../events/event-schema.ts");
    const schema =
      options.raw === true ? undefined : await eventSchema(fleet, topic, options, signal);
    let left = count;
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      const show = (event: IncomingEvent) => {
        if (left <= 0) return;
        const { id, key, typeName, contentType } = event;
        const content = contentOf(event, schema);
        const metadata = event.metadata.toObject();
        output.result(
          { topic: event.topic, id, key, type: typeName, contentType, metadata, ...content },
          () => {
            const time = output.style("dim", new Date().toISOString().slice(11, 23));
            return `${time} ${output.style("bold", typeName || contentType)} ${contentText(content)}`;
          },
        );
        left--;
        if (left <= 0) resolve();
      };
      const where = from === undefined ? {} : { from };
      const group = options.queue === undefined ? {} : { queue: options.queue };
      fleet.broker.subscribe(topic, show, { ...where, ...group, signal }).then(() => {
        output.endProgress();
        output.note(`listening to ${topic} over ${fleet.broker.name}`);
      }, reject);
    });
  },
});

function readCount(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new UsageError(`--count takes a whole number from 1, and not "${text}"`);
}

function readFrom(text: string | undefined): "first" | Date | bigint | undefined {
  if (text === undefined || text === "first") return text;
  if (/^\d+$/.test(text)) return BigInt(text);
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new UsageError(
    `--from takes first, a time such as 2026-01-31T12:00:00Z or a number, and not "${text}"`,
  );
}
