import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { shownRecord } from "../store/record.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only keys with this prefix" }],
  options: {
    limit: { type: "string", value: "number", help: "maximum number of records; default 100" },
    after: {
      type: "string",
      value: "key",
      help: "only keys after this one, to continue a listing",
    },
  },
  examples: [["micro store ls orders/ --json", "keys and values, one record per line"]],
  async run({ arguments: [prefix], options, output, environment, signal }) {
    const limit = Number(options.limit ?? 100);
    if (!Number.isInteger(limit) || limit < 1) {
      throw new UsageError(`--limit takes a whole number from 1, not "${options.limit}"`);
    }
    output.progress("listing the store");
    await using backend = await openBackendParts(environment);
    const rows: string[][] = [];
    const chosen = {
      limit,
      signal,
      ...(prefix === undefined ? {} : { prefix }),
      ...(options.after === undefined ? {} : { after: options.after }),
    };
    for await (const record of backend.store.list(chosen)) {
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
