import type { Figure, Length } from "../figure.ts";
import { consumersKilled, linkCut, serverKilled } from "./broker.ts";
import { lockHoldersPaused } from "./locks.ts";
import { nodesKilled, registryAway } from "./registry.ts";

/** What is done to NATS, by the goal that it proves. */
export const scenarios: Readonly<Record<string, (length: Length) => Promise<Figure>>> = {
  B1: consumersKilled,
  B2: serverKilled,
  B3: linkCut,
  D1: nodesKilled,
  D5: registryAway,
  S1: lockHoldersPaused,
};
