import { setImmediate } from "node:timers/promises";
import { syncContract } from "@micro-es/contract/sync";
import { etcdSync } from "@micro-es/etcd";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "./server.ts";

describe.skipIf(skipWithoutEtcd)("sync in etcd", () => {
  let server: EtcdServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server?.close());

  const create = async () => {
    const options = { endpoints: server.url, prefix: `/fleets/${fleets++}` };
    return { connect: () => etcdSync(options) };
  };
  for (const { name, run } of syncContract(create)) test(name, run);

  test("renews after a connection was lost during a renewal, without waiting for its response", async () => {
    await using proxy = await FaultProxy.start(server.port);
    // Longer than this test may take.
    const options = { endpoints: `http://127.0.0.1:${proxy.port}`, timeoutMs: 600_000 };
    await using sync = etcdSync({ ...options, prefix: `/fleets/${fleets++}` });
    const lock = await sync.lock("orders", { ttlMs: 600_000, renewal: "manual" });
    proxy.swallow(true);
    const renewal = lock.renew();
    await setImmediate();
    proxy.swallow(false);
    proxy.cut();
    await renewal.catch(() => {});
    await expect.poll(() => sync.state).toBe("healthy");
    await lock.renew();
    expect(lock.held).toBe(true);
    expect(await lock.unlock()).toBe(true);
  });

  test("waits through a compaction, and gets a lock whose holder released it meanwhile", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = `/fleets/${fleets++}`;
    const holding = etcdSync({ endpoints: server.url, prefix });
    const waiting = etcdSync({ endpoints: `http://127.0.0.1:${proxy.port}`, prefix });
    onTestFinished(async () => {
      await holding.close();
      await waiting.close();
    });
    const admin = new EtcdAdmin(server.url);
    const lock = await holding.lock("orders", { ttlMs: 60_000 });
    const next = waiting.lock("orders", { ttlMs: 60_000 });
    await expect(waiting.lock("orders", { waitMs: 0 })).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    proxy.cut();
    expect(await lock.unlock()).toBe(true);
    await admin.compact();
    expect((await next).token).toBeGreaterThan(lock.token);
  });

  test("a wiped etcd loses its locks, whose holders are told", async () => {
    await using own = await startEtcd();
    await using sync = etcdSync({ endpoints: own.url });
    const lock = await sync.lock("orders", { ttlMs: 6_000 });
    await own.stop();
    own.wipe();
    await own.start();
    await expect.poll(() => lock.signal.aborted).toBe(true);
    expect(await lock.unlock()).toBe(false);
    const next = await sync.lock("orders");
    expect(next.held).toBe(true);
  });
});
