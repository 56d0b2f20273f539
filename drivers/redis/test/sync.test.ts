import { syncContract } from "@micro-es/contract/sync";
import { redisSync } from "@micro-es/redis";
import { getsLockAfterCut, losesLock, renewsAfterCut } from "@micro-es/test-support/lock-outage";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { command } from "./admin.ts";
import { type RedisServer, skipWithoutRedis, startRedis } from "./server.ts";

describe.skipIf(skipWithoutRedis)("sync in Redis", () => {
  let server: RedisServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.close());

  const create = async () => {
    const options = { servers: server.address, prefix: `f${fleets++}` };
    return { connect: () => redisSync(options) };
  };
  for (const { name, run } of syncContract(create)) test(name, run);

  test("renews after a connection was lost during a renewal", async () => {
    await using proxy = await FaultProxy.start(server.port);
    // Longer than this test may take.
    const options = { servers: `127.0.0.1:${proxy.port}`, timeoutMs: 600_000 };
    await using sync = redisSync({ ...options, prefix: `f${fleets++}` });
    await renewsAfterCut(proxy, sync);
  });

  test("gets a lock whose holder released it while the waiting process was cut off", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = `f${fleets++}`;
    const holding = redisSync({ servers: server.address, prefix });
    const waiting = redisSync({ servers: `127.0.0.1:${proxy.port}`, prefix });
    onTestFinished(async () => {
      await holding.close();
      await waiting.close();
    });
    await getsLockAfterCut({ holding, waiting, proxy });
  });

  test("grants larger tokens after all data was lost, and tells the holder", async () => {
    await using own = await startRedis();
    await using sync = redisSync({ servers: own.address });
    const lock = await losesLock(own, sync, { ttlMs: 6_000, waitMs: 10_000 });
    const next = await sync.lock("orders");
    expect(next.token).toBeGreaterThan(lock.token);
  });

  test("grants larger tokens where the clock of the server is behind the last one", async () => {
    const prefix = `f${fleets++}`;
    await using sync = redisSync({ servers: server.address, prefix });
    const ahead = BigInt(Date.now() + 3_600_000) * 1_000n;
    await command({ servers: server.address }, "SET", `${prefix}:{sync}:revision`, `${ahead}`);
    const lock = await sync.lock("orders");
    expect(lock.token).toBe(ahead + 1n);
  });
});
