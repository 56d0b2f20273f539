import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { CommandError } from "../errors.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "key", help: "the whole key" }],
  options: {},
  examples: [["micro store rm orders/7", "delete a record"]],
  async run({ arguments: [key = ""], output, environment }) {
    output.progress(`deleting ${key}`);
    await using backend = await openBackendParts(environment);
    if (!(await backend.store.delete(key)))
      throw new CommandError("not_found", `the store has no ${key}`);
    output.note(`${key} is deleted`);
  },
});
