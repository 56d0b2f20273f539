import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { showLeases } from "../sync/leases.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only locks with this prefix" }],
  options: {},
  details:
    "Locks are read from MICRO_SYNC or MICRO_BACKEND. A lock whose holder died is listed until it expires.",
  examples: [
    ["micro lock ls", "locks with holder, fencing token and expiry"],
    ["micro lock ls invoices/ --json", "one lock per line"],
  ],
  async run({ arguments: [prefix = ""], output, environment, signal }) {
    output.progress("finding locks");
    await using backend = await openBackendParts(environment);
    const locks = await backend.sync.locks({ prefix, signal });
    showLeases(locks, { id: "LOCK", holder: "HOLDER", token: "TOKEN" }, output);
    if (locks.length === 0) output.note(`no locks in ${backend.sync.name}`);
  },
});
