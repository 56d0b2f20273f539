import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { showLeases } from "../sync/leases.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only elections with this prefix" }],
  options: {},
  details: "Elections are read from MICRO_SYNC or MICRO_BACKEND.",
  examples: [["micro leader ls", "the leader of each election, its start and epoch"]],
  async run({ arguments: [prefix = ""], output, environment, signal }) {
    output.progress("finding leaders");
    await using backend = await openBackendParts(environment);
    const leaders = await backend.sync.leaders({ prefix, signal });
    showLeases(leaders, { id: "GROUP", holder: "LEADER", token: "EPOCH" }, output);
    if (leaders.length === 0) output.note(`no leaders in ${backend.sync.name}`);
  },
});
