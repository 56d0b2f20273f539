import { type Command, CommandError, defineCommand } from "../command.ts";
import { openFleet } from "../fleet.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "key", help: "the whole key" }],
  options: {},
  examples: [["micro store rm orders/7", "deletes a record"]],
  async run({ arguments: [key = ""], output, environment }) {
    output.progress(`deleting ${key}`);
    await using fleet = await openFleet(environment);
    if (!(await fleet.store.delete(key)))
      throw new CommandError("not_found", `the store has no ${key}`);
    output.note(`${key} is deleted`);
  },
});
