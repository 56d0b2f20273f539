import { etcdVersion } from "../../../drivers/etcd/test/server.ts";
import { responsesLost } from "../coordination/outcomes.ts";
import { storeScenarios, syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { registryAway } from "../registry/backend-away.ts";
import { registryScenarios } from "../registry/scenarios.ts";
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
  },
  waiting: ["D1", "D2", "D4", "D5", "D5-wiped", "D6", "S1", "S2", "S3", "S4", "S6", "T6"],
};
