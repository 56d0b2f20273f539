import { redisVersion } from "../../../drivers/redis/test/server.ts";
import { brokerScenarios } from "../broker/scenarios.ts";
import { responsesLost } from "../coordination/outcomes.ts";
import { storeScenarios, syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { startBrokerServer } from "./broker-server.ts";
import { startCoordinationServer } from "./coordination-server.ts";

const { S1, S2, S3 } = syncScenarios(startCoordinationServer);

/** The faults injected into Redis, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `${redisVersion}`,
  scenarios: {
    ...brokerScenarios(startBrokerServer, 20_000),
    S1,
    S2,
    S3,
    ...storeScenarios(startCoordinationServer),
    O1: (length) => responsesLost(startCoordinationServer, length),
  },
  // T6 sets the clock of the process, by which S3 measures.
  waiting: [["S1", "S2", "S3", "T6"], ["B7"]],
  byHand: ["S2"],
};
