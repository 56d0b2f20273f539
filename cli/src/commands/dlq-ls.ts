import type { DeadLetters } from "@micro-es/runtime";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { deadLettersOf, noneOn, summaryOf } from "../events/dead-letters.ts";
import type { Output } from "../output.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "topic", optional: true, help: "a dead letter topic; default all" }],
  options: {
    limit: { type: "string", value: "number", help: "maximum number of dead letters; default 100" },
    after: {
      type: "string",
      value: "cursor",
      help: "only those after it, to continue a listing",
    },
  },
  details:
    "An event that failed permanently goes to the dead_letter topic of its subscription. The JetStream broker stores it there.",
  examples: [
    ["micro dlq ls", "topics and their number of events"],
    ["micro dlq ls orders.dead", "the oldest first, with the reason of each"],
  ],
  async run({ arguments: [topic], options, output, environment, signal }) {
    const limit = readLimit(options.limit);
    output.progress("finding dead letters");
    await using backend = await openBackendParts(environment);
    const deadLetters = deadLettersOf(backend.broker);
    if (topic === undefined) {
      await listTopics(deadLetters, output, signal);
      return;
    }
    const after = options.after === undefined ? {} : { after: options.after };
    const rows: string[][] = [];
    for await (const letter of deadLetters.list(topic, { ...after, limit, signal })) {
      const shown = summaryOf(letter);
      if (output.json) output.result(shown, () => "");
      const { cursor, at, topic: from, type, key = "", attempts, reason } = shown;
      rows.push([cursor, at, from, type, key, String(attempts), reason]);
    }
    const last = rows.at(-1)?.[0];
    if (last === undefined) {
      if (options.after === undefined)
        output.note((await noneOn(deadLetters, topic, signal)).message);
      return;
    }
    if (!output.json) {
      const headings = ["CURSOR", "TIME", "TOPIC", "TYPE", "KEY", "ATTEMPTS", "REASON"];
      output.line(output.table(headings, rows));
    }
    if (rows.length === limit) output.note(`there may be more: --after ${last}`);
  },
});

async function listTopics(
  deadLetters: DeadLetters,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const topics = await deadLetters.topics({ signal });
  for (const each of output.json ? topics : []) output.result(each, () => "");
  if (topics.length === 0) output.note("there are no dead letters");
  else if (!output.json) {
    const rows = topics.map(({ topic, count }) => [topic, String(count)]);
    output.line(output.table(["TOPIC", "EVENTS"], rows));
  }
}

function readLimit(text = "100"): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0) return limit;
  throw new UsageError(`--limit takes a whole number from 1, not "${text}"`);
}
