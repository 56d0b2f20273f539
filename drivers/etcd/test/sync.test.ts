import { syncContract } from "@micro-es/contract/sync";
import { etcdSync } from "@micro-es/etcd";
import { getsLockAfterCut, losesLock, renewsAfterCut } from "@micro-es/test-support/lock-outage";
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
    await renewsAfterCut(proxy, sync);
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
    const released = () => new EtcdAdmin(server.url).compact();
    await getsLockAfterCut({ holding, waiting, proxy, released });
  });

  test("a wiped etcd loses its locks, whose holders are told", async () => {
    await using own = await startEtcd();
    await using sync = etcdSync({ endpoints: own.url });
    await losesLock(own, sync, { ttlMs: 6_000, waitMs: 10_000 });
    const next = await sync.lock("orders");
    expect(next.held).toBe(true);
  });
});
