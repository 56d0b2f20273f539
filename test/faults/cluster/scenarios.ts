import type { Sync } from "@micro-es/runtime";
import type { Scenario } from "../figure.ts";
import { noticed, replacing } from "../planted.ts";
import type { StartCluster } from "./cluster.ts";
import { leadersLost } from "./leaders-lost.ts";
import { quorumLost } from "./quorum-lost.ts";

/** The faults injected into every cluster of three, by the goal that each proves. */
export function clusterScenarios(
  startCluster: StartCluster,
): Readonly<Record<"C1" | "W3" | "C1-planted" | "W3-planted", Scenario>> {
  return {
    C1: (length) => leadersLost(startCluster, length),
    W3: (length) => quorumLost(startCluster, length),
    "C1-planted": () =>
      noticed(
        leadersLost(startCluster, "short", sameToken),
        "all terms have one token",
        /[1-9]\d* terms overlap or have a token that does not grow/,
      ),
    "W3-planted": () =>
      noticed(
        quorumLost(startCluster, "short", true),
        "no server is paused",
        /^[1-9]\d* of \d+ writes succeeded without a quorum/,
      ),
  };
}

/** Tokens do not grow. */
function sameToken(sync: Sync): Sync {
  const lock: Sync["lock"] = async (id, options) => {
    return replacing(await sync.lock(id, options), { token: 1n });
  };
  return replacing(sync, { lock });
}
