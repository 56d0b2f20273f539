import { natsBroker, natsSource } from "@micro-es/nats";
import { loadConfig } from "@micro-es/runtime";
import { natsPrograms } from "../../../drivers/nats/test/servers.ts";
import type { TargetSetup } from "../target-process.ts";

/** The reason why a process cannot be attacked over NATS; undefined if it can. */
export function missingNats(): string | undefined {
  if (natsPrograms().length > 0) return undefined;
  return "nats-server is not installed; run test/setup, or set NATS_SERVER to its path";
}

/** Has the target use a nats-server that an attack has started: `config URL` or `events URL`. */
export const setup: TargetSetup = {
  async perform(action) {
    const [what, servers = ""] = action.split(" ");
    if (what === "config") {
      const config = await loadConfig([natsSource({ servers })]);
      return config.snapshot !== undefined;
    }
    await natsBroker({ servers }).subscribe("news", async () => {});
    return true;
  },
};
