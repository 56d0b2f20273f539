import { type Command, defineCommand, UsageError } from "../command.ts";
import { openFleet } from "../fleet.ts";
import { shownRecord } from "../store/record.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only keys that begin with it" }],
  options: {
    limit: { type: "string", value: "number", help: "records at most; default 100" },
    after: {
      type: "string",
      value: "key",
      help: "only keys after this one, to go on with a listing",
    },
  },
  examples: [["micro store ls orders/ --json", "keys and values, a record a line"]],
  async run({ arguments: [prefix], options, output, environment, signal }) {
    const limit = Number(options.limit ?? 100);
    if (!Number.isInteger(limit) || limit < 1) {
      throw new UsageError(`--limit takes a whole number from 1, and not "${options.limit}"`);
    }
    output.progress("listing the store");
    await using fleet = await openFleet(environment);
    const rows: string[][] = [];
    const chosen = {
      limit,
      signal,
      ...(prefix === undefined ? {} : { prefix }),
      ...(options.after === undefined ? {} : { after: options.after }),
    };
    for await (const record of fleet.store.list(chosen)) {
      const shown = shownRecord(record);
      if (output.json) output.result(shown, () => "");
      rows.push([record.key, shown.version, String(record.value.length), shown.expiresAt ?? ""]);
    }
    if (!output.json && rows.length > 0) {
      output.line(output.table(["KEY", "VERSION", "BYTES", "EXPIRES"], rows));
    }
    const last = rows.at(-1)?.[0];
    if (rows.length === limit) output.note(`there may be more: --after ${last}`);
  },
});
