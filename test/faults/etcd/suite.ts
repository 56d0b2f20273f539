import { etcdVersion } from "../../../drivers/etcd/test/server.ts";
import { clusterScenarios } from "../cluster/scenarios.ts";
import { responsesLost } from "../coordination/outcomes.ts";
import { storeScenarios, syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { registryAway } from "../registry/backend-away.ts";
import { registryScenarios, watchScenarios } from "../registry/scenarios.ts";
import { startCluster } from "./cluster.ts";
import { startCoordinationServer } from "./coordination-server.ts";
import { startRegistryServer } from "./registry-server.ts";

/** The faults injected into etcd, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `etcd ${etcdVersion}`,
  scenarios: {
    ...registryScenarios(startRegistryServer),
    "D5-wiped": (length) => registryAway(startRegistryServer, length, true),
    ...syncScenarios(startCoordinationServer),
    ...storeScenarios(startCoordinationServer),
    O1: (length) => responsesLost(startCoordinationServer, length),
    ...watchScenarios(startRegistryServer),
    ...clusterScenarios(startCluster),
  },
  waiting: [
    ["D1", "D2", "D4", "D6"],
    ["D5", "D5-wiped", "S1", "S6"],
    ["S2", "S3", "S4"],
    ["T6"],
    ["W1", "W2", "C1", "W3"],
  ],
  byHand: ["C1", "W3", "W1-planted", "W2-planted", "C1-planted", "W3-planted"],
};
