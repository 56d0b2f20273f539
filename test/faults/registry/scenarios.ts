import type { Registry } from "@micro-es/runtime";
import type { Scenario } from "../figure.ts";
import { noticed, replacing } from "../planted.ts";
import type { StartRegistryServer } from "./backend.ts";
import { registryAway } from "./backend-away.ts";
import { watchHalfOpen } from "./half-open.ts";
import { historyCut } from "./history-cut.ts";
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

/** The faults injected into the watches of a registry. */
export function watchScenarios(
  startServer: StartRegistryServer,
  startSeveral = startServer,
): Readonly<Record<"W1" | "W2" | "W1-planted" | "W2-planted", Scenario>> {
  return {
    W1: (length) => historyCut(startSeveral, length),
    W2: (length) => watchHalfOpen(startServer, length),
    "W1-planted": () =>
      noticed(
        historyCut(startSeveral, "short", unsynced),
        "a watcher gets no snapshots after the first event",
        /[1-9]\d* (inconsistent|nodes different)/,
      ),
    "W2-planted": () =>
      noticed(
        watchHalfOpen(startServer, "short", deaf),
        "a watcher gets nothing after the first event",
        /after Infinity ms/,
      ),
  };
}

/** A watch misses what changed while there was no connection. */
function unsynced(registry: Registry): Registry {
  const watch: Registry["watch"] = async function* (service, options) {
    let isFirst = true;
    for await (const event of registry.watch(service, options)) {
      if (isFirst || event.type !== "snapshot") yield event;
      isFirst = false;
    }
  };
  return replacing(registry, { watch });
}

/** A watch ends without notice after its first event. */
function deaf(registry: Registry): Registry {
  const watch: Registry["watch"] = async function* (service, options) {
    let isFirst = true;
    for await (const event of registry.watch(service, options)) {
      if (isFirst) yield event;
      isFirst = false;
    }
  };
  return replacing(registry, { watch });
}
