import { type Command, defineCommand } from "../command.ts";
import { openFleet } from "../fleet.ts";
import { showLeases } from "../sync/leases.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only locks whose ids begin with it" }],
  options: {},
  details:
    "Locks are where MICRO_NATS_URL or MICRO_SYNC=file:path says. A lock whose holder died is listed until its time is over.",
  examples: [
    ["micro lock ls", "who holds what, its fencing token, and when it ends unless it is renewed"],
    ["micro lock ls invoices/ --json", "a lock a line"],
  ],
  async run({ arguments: [prefix = ""], output, environment, signal }) {
    output.progress("looking for locks");
    await using fleet = await openFleet(environment);
    const locks = await fleet.sync.locks({ prefix, signal });
    showLeases(locks, { id: "LOCK", holder: "HOLDER", token: "TOKEN" }, output);
    if (locks.length === 0) output.note(`no lock is held in ${fleet.sync.name}`);
  },
});
