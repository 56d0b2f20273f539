import { zooKeeperVersion } from "../../../drivers/zookeeper/test/server.ts";
import { clusterScenarios } from "../cluster/scenarios.ts";
import { linksLost } from "../coordination/links.ts";
import { lockHoldersPaused } from "../coordination/locks.ts";
import { responsesLost } from "../coordination/outcomes.ts";
import { plantedScenarios } from "../coordination/planted.ts";
import { syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { registryAway } from "../registry/backend-away.ts";
import { registryScenarios, watchScenarios } from "../registry/scenarios.ts";
import { startCluster } from "./cluster.ts";
import { startCoordinationServer, startServerWithClock } from "./coordination-server.ts";
import { startRegistryServer } from "./registry-server.ts";

/** The faults injected into ZooKeeper, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `ZooKeeper ${zooKeeperVersion}`,
  scenarios: {
    ...registryScenarios(startRegistryServer),
    "D5-wiped": (length) => registryAway(startRegistryServer, length, true),
    ...syncScenarios(startCoordinationServer),
    "S1-clock": (length) => lockHoldersPaused(startServerWithClock, length),
    O1: (length) => responsesLost(startCoordinationServer, length),
    K2: (length) => linksLost(startCoordinationServer, length),
    ...watchScenarios(startRegistryServer, () => startRegistryServer(3)),
    ...clusterScenarios(startCluster),
    ...plantedScenarios(startCoordinationServer),
  },
  waiting: [
    ["D1", "D2", "D4", "S6-planted", "S2-planted"],
    ["D5", "D5-wiped", "S1", "S6"],
    ["S2", "S3", "S4", "S3-planted", "S5-planted"],
    ["W1", "W2", "K2", "K2-planted", "C1", "W3"],
  ],
  byHand: ["S1-clock", "C1", "W3", "W1-planted", "W2-planted", "C1-planted", "W3-planted"],
};
