import { brokerContract, type CreateBrokers } from "@micro-es/contract/broker";
import { type RedisBrokerOptions, redisBroker } from "@micro-es/redis";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type RedisServer, skipWithoutRedis, startRedis } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutRedis)("broker on Redis", () => {
  let server: RedisServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.close());

  const several =
    (options: RedisBrokerOptions): CreateBrokers =>
    async (count) => {
      const prefix = `b${fleets++}`;
      const join = (more?: { readonly closeGraceMs: number }): Broker => {
        const own = { servers: server.address, prefix, logger, timeoutMs: 30_000 };
        return redisBroker({ ...own, durability: "process-crash", ...options, ...more });
      };
      return { brokers: Array.from({ length: count }, () => join()), join };
    };
  describe.each(["none", "key"] as const)("with ordering: %s", (ordering) => {
    for (const { name, run } of brokerContract(several({ ordering }))) test(name, run);
  });
});
