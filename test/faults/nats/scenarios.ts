import type { Figure, Length } from "../figure.ts";
import { consumersKilled, linkCut, longHandlers, serverKilled } from "./broker.ts";
import { lockHoldersPaused, syncAway } from "./locks.ts";
import { nodesKilled, registryAway } from "./registry.ts";
import { racingIncrements } from "./store.ts";

/** What is done to NATS, by the goal that it proves. */
export const scenarios: Readonly<Record<string, (length: Length) => Promise<Figure>>> = {
  B1: consumersKilled,
  B2: serverKilled,
  B3: linkCut,
  B7: longHandlers,
  D1: nodesKilled,
  D5: registryAway,
  S1: lockHoldersPaused,
  S6: syncAway,
  T4: racingIncrements,
};
