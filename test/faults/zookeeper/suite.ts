import { zooKeeperVersion } from "../../../drivers/zookeeper/test/server.ts";
import { linksLost } from "../coordination/links.ts";
import { responsesLost } from "../coordination/outcomes.ts";
import { plantedScenarios } from "../coordination/planted.ts";
import { syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { registryAway } from "../registry/backend-away.ts";
import { registryScenarios } from "../registry/scenarios.ts";
import { startCoordinationServer } from "./coordination-server.ts";
import { startRegistryServer } from "./registry-server.ts";

/** The faults injected into ZooKeeper, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `ZooKeeper ${zooKeeperVersion}`,
  scenarios: {
    ...registryScenarios(startRegistryServer),
    "D5-wiped": (length) => registryAway(startRegistryServer, length, true),
    ...syncScenarios(startCoordinationServer),
    O1: (length) => responsesLost(startCoordinationServer, length),
    K2: (length) => linksLost(startCoordinationServer, length),
    ...plantedScenarios(startCoordinationServer),
  },
  waiting: [
    ["D1", "D2", "D4", "D5", "D5-wiped", "D6"],
    ["S1", "S2", "S3", "S6", "S6-planted", "S2-planted"],
    ["S4", "K2", "K2-planted", "S3-planted", "S5-planted"],
  ],
};
