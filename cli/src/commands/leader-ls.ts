import { type Command, defineCommand } from "../command.ts";
import { openFleet } from "../fleet.ts";
import { showLeases } from "../sync/leases.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only elections whose ids begin with it" }],
  options: {},
  details: "Elections are where MICRO_NATS_URL or MICRO_SYNC=file:path says.",
  examples: [["micro leader ls", "who leads each group, since when, and in which epoch"]],
  async run({ arguments: [prefix = ""], output, environment, signal }) {
    output.progress("looking for leaders");
    await using fleet = await openFleet(environment);
    const leaders = await fleet.sync.leaders({ prefix, signal });
    showLeases(leaders, { id: "GROUP", holder: "LEADER", token: "EPOCH" }, output);
    if (leaders.length === 0) output.note(`nobody leads anything in ${fleet.sync.name}`);
  },
});
