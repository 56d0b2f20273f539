import { brokerContract, type CreateBrokers } from "@micro-es/contract/broker";
import { type KafkaBrokerOptions, kafkaBroker } from "@micro-es/kafka";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type KafkaServer, skipWithoutKafka, startKafka } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutKafka)("broker on Kafka", () => {
  let server: KafkaServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startKafka();
  });
  afterAll(() => server?.close());

  const create: CreateBrokers = async (count) => {
    const prefix = `b${fleets++}`;
    const join = (more?: { readonly closeGraceMs: number }): Broker => {
      const own: KafkaBrokerOptions = { servers: server.address, prefix, logger, partitions: 8 };
      return kafkaBroker({ ...own, timeoutMs: 30_000, sessionTimeoutMs: 2_000, ...more });
    };
    return { brokers: Array.from({ length: count }, () => join()), join };
  };
  for (const { name, run } of brokerContract(create)) test(name, run);
});
