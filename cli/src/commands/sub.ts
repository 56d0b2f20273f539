import type { IncomingEvent } from "@micro-es/runtime";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { eventSchemaOptions } from "../events/event-schema-options.ts";
import { styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "topic", help: "such as greeter.greeted" }],
  options: {
    ...eventSchemaOptions,
    queue: {
      type: "string",
      value: "name",
      help: "join a queue group, and so receive some of its events",
    },
    from: {
      type: "string",
      value: "first|time|number",
      help: "where to begin, if the broker stores events",
    },
    count: { type: "string", value: "number", help: "stop after this number of events" },
    raw: { type: "boolean", help: "show raw bodies, without a schema" },
  },
  details: "Without --queue it receives a copy of each event, in addition to other subscribers.",
  examples: [
    ["micro sub greeter.greeted", "one line per event, until Ctrl-C"],
    ["micro sub orders --from first --json", "all stored events of a JetStream broker"],
  ],
  async run({ arguments: [topic = ""], options, output, environment, signal }) {
    const count = readCount(options.count);
    const from = readFrom(options.from);
    output.progress(`subscribing to ${topic}`);
    await using backend = await openBackendParts(environment, options);
    const { contentOf, contentText } = await import("../events/event-body.ts");
    const { eventSchema } = await import("../events/event-schema.ts");
    const { listenForAbort } = await import("@micro-es/runtime/driver");
    const schema =
      options.raw === true ? undefined : await eventSchema(backend, topic, options, signal);
    let left = count;
    await new Promise<void>((resolve, reject) => {
      listenForAbort(signal, () => resolve());
      const show = (event: IncomingEvent) => {
        if (left <= 0) return;
        const { id, key, typeName, contentType } = event;
        const content = contentOf(event, schema);
        const metadata = event.metadata.toObject();
        output.result(
          { topic: event.topic, id, key, type: typeName, contentType, metadata, ...content },
          () => {
            const time = styled("dim", new Date().toISOString().slice(11, 23));
            return text`${time} ${styled("bold", typeName || contentType)} ${contentText(content)}`;
          },
        );
        left--;
        if (left <= 0) resolve();
      };
      const where = from === undefined ? {} : { from };
      const group = options.queue === undefined ? {} : { queue: options.queue };
      backend.broker.subscribe(topic, show, { ...where, ...group, signal }).then(() => {
        output.endProgress();
        output.note(`subscribed to ${topic} over ${backend.broker.name}`);
      }, reject);
    });
  },
});

function readCount(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new UsageError(`--count takes a whole number from 1, not "${text}"`);
}

function readFrom(text: string | undefined): "first" | Date | bigint | undefined {
  if (text === undefined || text === "first") return text;
  if (/^\d+$/.test(text)) return BigInt(text);
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new UsageError(
    `--from takes first, a time such as 2026-01-31T12:00:00Z or a number, not "${text}"`,
  );
}
