import { kafkaVersion } from "../../../drivers/kafka/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";
import { linkCut, type ServerKilledOptions, serverKilled } from "../broker/delivery.ts";
import { membersLeave } from "../broker/members-leave.ts";
import { brokerScenarios } from "../broker/scenarios.ts";
import type { FaultSuite, Figure, Length } from "../figure.ts";
import { noticed } from "../planted.ts";
import { closeSharedServer, startBrokerServer, startFleet } from "./broker-server.ts";

const { B1, B7, B11 } = brokerScenarios(startFleet, 15_000);
/** A server takes seconds to start. */
const killed: ServerKilledOptions = { shortForm: [10_000, 1], pauseMs: 500 };

/** The faults injected into Kafka, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `Kafka ${kafkaVersion}`,
  scenarios: {
    B1,
    B2: (length) => serverKilled(startBrokerServer, length, killed),
    B3: (length) => linkCut(startFleet, length),
    B7,
    // A member gets events once others have released partitions for it.
    B8: (length) => membersLeave(startFleet, length, [], 8, 3_000),
    B11,
    "B2-planted": eventsRemoved,
  },
  waiting: [["B2"], ["B8"]],
  byHand: ["B7", "B2-planted"],
  close: closeSharedServer,
};

/** A server that forgets its events when it starts again. */
async function eventsRemoved(length: Length): Promise<Figure> {
  const startForgetful = async (): Promise<BrokerServer> => {
    const server = await startBrokerServer();
    return {
      ...server,
      start: async () => {
        await server.wipe();
        await server.start();
      },
    };
  };
  return noticed(
    serverKilled(startForgetful, length, killed),
    "the server forgets its events when it starts again",
    /[1-9]\d* lost/,
  );
}
