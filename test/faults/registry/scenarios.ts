import type { Scenario } from "../figure.ts";
import type { StartRegistryServer } from "./backend.ts";
import { registryAway } from "./backend-away.ts";
import { machineBusy, nodesKilled, nodesPaused, nodesStop } from "./nodes.ts";
import { watchCut } from "./watch-cut.ts";

/** The faults injected into every registry with a server, by the goal that each proves. */
export function registryScenarios(
  startServer: StartRegistryServer,
): Readonly<Record<"D1" | "D2" | "D3" | "D4" | "D5" | "D6", Scenario>> {
  return {
    D1: (length) => nodesKilled(startServer, length),
    D2: (length) => nodesStop(startServer, length),
    D3: (length) => machineBusy(startServer, length),
    D4: (length) => nodesPaused(startServer, length),
    D5: (length) => registryAway(startServer, length),
    D6: (length) => watchCut(startServer, length),
  };
}
