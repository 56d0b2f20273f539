import type { Scenario } from "../figure.ts";
import { recordsExpire } from "./expiry.ts";
import { racingIncrements } from "./increments.ts";
import { leadersKilled } from "./leaders.ts";
import { holdersCutOff, holdersKilled, lateUnlocks } from "./lock-holders.ts";
import { lockHoldersPaused, syncAway } from "./locks.ts";
import type { StartCoordinationServer, StartStoreServer } from "./server.ts";

type SyncId = "S1" | "S2" | "S3" | "S4" | "S5" | "S6";

/** The faults injected into every sync with a server, by the goal that each proves. */
export function syncScenarios(
  startServer: StartCoordinationServer,
): Readonly<Record<SyncId, Scenario>> {
  return {
    S1: (length) => lockHoldersPaused(startServer, length),
    S2: (length) => holdersCutOff(startServer, length),
    S3: (length) => holdersKilled(startServer, length),
    S4: (length) => leadersKilled(startServer, length),
    S5: (length) => lateUnlocks(startServer, length),
    S6: (length) => syncAway(startServer, length),
  };
}

/** The faults injected into every store with a server. */
export function storeScenarios(
  startServer: StartStoreServer,
): Readonly<Record<"T4" | "T6", Scenario>> {
  return {
    T4: (length) => racingIncrements(startServer, length),
    T6: (length) => recordsExpire(startServer, length),
  };
}
