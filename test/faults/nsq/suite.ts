import { nsqdVersion } from "../../../drivers/nsq/test/server.ts";
import { brokerScenarios } from "../broker/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { startBrokerServer } from "./broker-server.ts";
import { serverEnded } from "./losses.ts";

const { B1, B3, B7, B8 } = brokerScenarios(startBrokerServer, 8_000);

/**
 * The faults injected into nsqd, by the goal that each proves. B2 cannot hold: an nsqd that is
 * killed loses what it has, which N1 shows.
 */
export const suite: FaultSuite = {
  subject: nsqdVersion,
  scenarios: { B1, B3, B7, B8, N1: serverEnded },
  waiting: ["B7", "N1"],
};
