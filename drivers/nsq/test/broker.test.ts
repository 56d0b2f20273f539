import { brokerContract, type CreateBrokers } from "@micro-es/contract/broker";
import { nsqBroker } from "@micro-es/nsq";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type NsqdServer, nsqdVersion, startNsqd } from "./server.ts";

const logger = silentLogger;

describe(`broker on ${nsqdVersion}`, () => {
  let server: NsqdServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startNsqd();
  });
  afterAll(() => server?.close());

  const create: CreateBrokers = async (count) => {
    const prefix = `b${fleets++}.`;
    const join = (more?: { readonly closeGraceMs: number }): Broker =>
      nsqBroker({ servers: server.address, prefix, logger, timeoutMs: 30_000, ...more });
    return { brokers: Array.from({ length: count }, () => join()), join };
  };
  for (const { name, run } of brokerContract(create)) test(name, run);
});
