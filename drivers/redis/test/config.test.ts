import { configSourceContract } from "@micro-es/contract/config";
import { redisSource } from "@micro-es/redis";
import { changesTogether } from "@micro-es/test-support/config-changes";
import { staysInForce } from "@micro-es/test-support/config-outage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { command } from "./admin.ts";
import { hashFixture } from "./config-hash.ts";
import { type RedisServer, skipWithoutRedis, startRedis } from "./server.ts";

describe.skipIf(skipWithoutRedis)("config source in Redis", () => {
  let server: RedisServer;
  let hashes = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.close());

  const nextKey = () => `app${hashes++}:config`;
  const fixture = () => hashFixture({ servers: server.address }, nextKey());
  for (const { name, run } of configSourceContract(fixture)) test(name, run);

  test("reads fields as paths, and values as JSON", async () => {
    const key = nextKey();
    const set = (...fields: string[]) =>
      command({ servers: server.address }, "HSET", key, ...fields);
    await set("database.host", "db.example", "database.pool", "10", "features", '{"beta":true}');
    await using source = redisSource({ servers: server.address, key });
    expect(await source.load()).toEqual({
      database: { host: "db.example", pool: 10 },
      features: { beta: true },
    });
    await set("database.host.port", "1");
    await expect(source.load()).rejects.toMatchObject({ code: "invalid_argument" });
    expect(source.state).toBe("degraded");
  });

  test("fields that are set by one command become visible together", async () => {
    const key = nextKey();
    const put = (value: number) => {
      const fields = ["a", "b", "c", "d"].flatMap((name) => [name, `${value}`]);
      return command({ servers: server.address }, "HSET", key, ...fields);
    };
    await put(0);
    await using source = redisSource({ servers: server.address, key, pollMs: 10 });
    await changesTogether(source, put, 50);
  });

  test("stays in force while its server is down, even after a restart, and resumes when it is back", async () => {
    await using away = await startRedis();
    const servers = away.address;
    await staysInForce({
      server: away,
      source: () => redisSource({ servers, startTimeoutMs: 1_000, pollMs: 100 }),
      write: (value) => command({ servers }, "HSET", "micro:config", "database.host", value),
      name: "redis:micro:config",
      guarantees: { reach: "backend", consistency: "table" },
    });
  });
});
