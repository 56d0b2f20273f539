import { natsVersion } from "../../nats/server.ts";
import type { FaultSuite } from "../figure.ts";
import { consumersKilled, linkCut, longHandlers, serverKilled } from "./broker.ts";
import { lockHoldersPaused, syncAway } from "./locks.ts";
import { nodesKilled, registryAway } from "./registry.ts";
import { racingIncrements } from "./store.ts";

/** What is done to NATS, by the goal that it proves. */
export const suite: FaultSuite = {
  subject: `nats-server ${natsVersion}`,
  scenarios: {
    B1: consumersKilled,
    B2: serverKilled,
    B3: linkCut,
    B7: longHandlers,
    D1: nodesKilled,
    D5: registryAway,
    S1: lockHoldersPaused,
    S6: syncAway,
    T4: racingIncrements,
  },
  waiting: ["D1", "D5", "S1", "S6"],
};
