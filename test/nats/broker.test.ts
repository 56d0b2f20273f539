import { silentLogger } from "@micro-es/runtime";
import { jetstreamBroker } from "@micro-es/runtime/broker/jetstream";
import { natsBroker } from "@micro-es/runtime/broker/nats";
import { afterAll, beforeAll, describe, test } from "vitest";
import { brokerContract, type CreateBrokers } from "../contract/broker.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutNats)("brokers on NATS", () => {
  let server: NatsServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const several = (count: number, create: () => ReturnType<typeof natsBroker>) => ({
    brokers: Array.from({ length: count }, create),
  });
  const create: Record<string, CreateBrokers> = {
    "core NATS": async (count) => several(count, () => natsBroker({ servers: server.url, logger })),
    "core NATS in go-micro's format": async (count) =>
      several(count, () =>
        natsBroker({ servers: server.url, format: "go-micro", logger, maxEventBytes: 700_000 }),
      ),
    JetStream: async (count) => {
      const stream = `S${fleets++}`;
      const prefix = `p${stream}`;
      return several(count, () => jetstreamBroker({ servers: server.url, stream, prefix, logger }));
    },
  };
  /** Many consumers make it slow, so only what differs is looked at. */
  describe("JetStream in the order of keys", () => {
    const differs =
      /order of a key|member of each queue group|takes poison out|leaves its group|carries an event whole|replays/;
    const brokers: CreateBrokers = async (count) => {
      const stream = `S${fleets++}`;
      const prefix = `p${stream}`;
      return several(count, () =>
        jetstreamBroker({ servers: server.url, stream, prefix, ordering: "key", logger }),
      );
    };
    for (const { name, run } of brokerContract(brokers)) {
      if (differs.test(name)) test(name, run);
    }
  });
  describe.each(Object.entries(create))("%s", (_name, brokers) => {
    for (const { name, run } of brokerContract(brokers)) test(name, run);
  });
});
