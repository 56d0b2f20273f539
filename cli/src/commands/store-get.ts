import { type Command, CommandError, defineCommand } from "../command.ts";
import { openFleet } from "../fleet.ts";
import { shownRecord } from "../store/record.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "key", help: "the whole key" }],
  options: {},
  details: "The value alone, as it is; with --json its version, expiry and metadata too.",
  examples: [["micro store get orders/7", "its value"]],
  async run({ arguments: [key = ""], output, environment }) {
    output.progress(`reading ${key}`);
    await using fleet = await openFleet(environment);
    const record = await fleet.store.read(key);
    if (record === undefined) throw new CommandError("not_found", `the store has no ${key}`);
    const shown = shownRecord(record);
    output.result(shown, () => shown.text ?? shown.base64 ?? "");
  },
});
