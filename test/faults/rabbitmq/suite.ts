import { rabbitMqVersion } from "../../../drivers/rabbitmq/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";
import { linkCut, type ServerKilledOptions, serverKilled } from "../broker/delivery.ts";
import { brokerScenarios } from "../broker/scenarios.ts";
import type { FaultSuite, Figure, Length } from "../figure.ts";
import { noticed } from "../planted.ts";
import {
  closeSharedServer,
  startBrokerServer,
  startFleet,
  startWitnessedFleet,
} from "./broker-server.ts";
import { handlersTimeOut } from "./consumer-timeout.ts";
import { memoryShort } from "./memory-alarm.ts";
import { queuesDeleted } from "./queues-deleted.ts";

const { B1, B8, B11 } = brokerScenarios(startFleet, 6_000);
/** A server takes seconds to start. */
const killed: ServerKilledOptions = { shortForm: [4_000, 1], pauseMs: 500 };

/** The faults injected into RabbitMQ, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `RabbitMQ ${rabbitMqVersion}`,
  scenarios: {
    B1,
    B2: (length) => serverKilled(startBrokerServer, length, killed),
    B3: (length) => linkCut(startWitnessedFleet, length),
    B8,
    B11,
    Q1: memoryShort,
    Q2: queuesDeleted,
    Q3: handlersTimeOut,
    "B2-planted": eventsPurged,
  },
  // They wait for servers of their own.
  waiting: [["B2", "Q3"]],
  byHand: ["B2-planted"],
  close: closeSharedServer,
};

/** A server that forgets its events when it starts again. */
async function eventsPurged(length: Length): Promise<Figure> {
  const startForgetful = async (): Promise<BrokerServer> => {
    const server = await startBrokerServer();
    return {
      ...server,
      start: async () => {
        await server.start();
        await server.forget();
      },
    };
  };
  return noticed(
    serverKilled(startForgetful, length, killed),
    "the server forgets its events when it starts again",
    /[1-9]\d* lost/,
  );
}
