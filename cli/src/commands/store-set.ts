import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { oneRequest } from "../requests.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "key", help: "the whole key" },
    { name: "value", optional: true, help: "text, @file, or - for standard input" },
  ],
  options: {
    ttl: { type: "string", value: "time", help: "the record expires after it" },
    "if-version": {
      type: "string",
      value: "number",
      help: "only if the key has this version; 0: only if it is new",
    },
  },
  examples: [["micro store set greeting hello --ttl 10m", "expires after ten minutes"]],
  async run({ arguments: [key = "", value], options, output, environment }) {
    const ttlMs = options.ttl === undefined ? undefined : readDuration(options.ttl, "ttl");
    const expected = options["if-version"];
    if (expected !== undefined && !/^\d+$/.test(expected)) {
      throw new UsageError(`--if-version takes a whole number, not "${expected}"`);
    }
    const { text } = await oneRequest(value);
    output.progress(`writing ${key}`);
    await using backend = await openBackendParts(environment);
    const version = await backend.store.write(key, Buffer.from(text), {
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(expected === undefined ? {} : { ifVersion: BigInt(expected) }),
    });
    output.result({ key, version: String(version) }, () => "");
    output.note(`${key} has version ${version}`);
  },
});
