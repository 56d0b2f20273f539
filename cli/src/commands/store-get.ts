import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { CommandError } from "../errors.ts";
import { shownRecord } from "../store/record.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "key", help: "the whole key" }],
  options: {},
  details: "Prints only the value, unchanged; --json adds version, expiry and metadata.",
  examples: [["micro store get orders/7", "its value"]],
  async run({ arguments: [key = ""], output, environment }) {
    output.progress(`reading ${key}`);
    await using backend = await openBackendParts(environment);
    const record = await backend.store.read(key);
    if (record === undefined) throw new CommandError("not_found", `the store has no ${key}`);
    const shown = shownRecord(record);
    output.data(shown, shown.text ?? shown.base64 ?? "");
  },
});
