import { syncContract } from "@micro-es/contract/sync";
import { losesLock } from "@micro-es/test-support/lock-outage";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { ZooKeeperLink, zooKeeperSync } from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ZooKeeperAdmin } from "./admin.ts";
import { skipWithoutZooKeeper, startZooKeeper, type ZooKeeperServer } from "./server.ts";

describe.skipIf(skipWithoutZooKeeper)("sync in ZooKeeper", () => {
  let server: ZooKeeperServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startZooKeeper();
  });
  afterAll(() => server?.close());

  const nextRoot = () => `/fleets/${fleets++}`;
  const create = async () => {
    const options = { servers: server.address, root: nextRoot() };
    return { connect: () => zooKeeperSync(options) };
  };
  for (const { name, run } of syncContract(create)) test(name, run);

  test("gets a lock whose holder released it while the link was cut", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const root = nextRoot();
    const holding = zooKeeperSync({ servers: server.address, root });
    const link = new ZooKeeperLink({ servers: `127.0.0.1:${proxy.port}` });
    const waiting = zooKeeperSync({ link, root });
    onTestFinished(async () => {
      await holding.close();
      await waiting.close();
      await link.close();
    });
    const watches = vi.spyOn(link.watches, "ready");
    const lock = await holding.lock("orders", { ttlMs: 60_000 });
    const next = waiting.lock("orders", { ttlMs: 60_000 });
    // A cut before that fails the call for the lock.
    await expect.poll(() => watches.mock.calls.length).toBeGreaterThan(0);
    proxy.refuse(true);
    proxy.cut();
    expect(await lock.unlock()).toBe(true);
    proxy.refuse(false);
    expect((await next).token).toBeGreaterThan(lock.token);
  });

  test("a wiped ZooKeeper loses its locks, whose holders are told", async () => {
    await using own = await startZooKeeper();
    await using sync = zooKeeperSync({ servers: own.address, sessionTimeoutMs: 2_000 });
    await losesLock(own, sync, { ttlMs: 9_000, waitMs: 20_000 });
    await expect.poll(() => sync.state, { timeout: 20_000 }).toBe("healthy");
    const next = await sync.lock("orders");
    expect(next.held).toBe(true);
  });

  test("tokens grow although versions begin again in a znode that an operator deletes", async () => {
    const root = nextRoot();
    await using admin = new ZooKeeperAdmin(server.address);
    await using sync = zooKeeperSync({ servers: server.address, root });
    const tokens: bigint[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const lock = await sync.lock("orders");
      tokens.push(lock.token);
      await lock.unlock();
      const [znode] = await admin.children(root);
      expect(await admin.read(`${root}/${znode}`)).toHaveLength(0);
      await admin.delete(`${root}/${znode}`);
    }
    expect([...tokens].sort((a, b) => Number(a - b))).toEqual(tokens);
    expect(new Set(tokens).size).toBe(3);
  });

  test("keeps the znode of a lease that ended, without data", async () => {
    const root = nextRoot();
    await using admin = new ZooKeeperAdmin(server.address);
    await using sync = zooKeeperSync({ servers: server.address, root });
    await (await sync.lock("a/b.c")).unlock();
    expect(await admin.children(root)).toEqual(["lock%2Fa%2Fb%2Ec"]);
    expect(await admin.read(`${root}/lock%2Fa%2Fb%2Ec`)).toHaveLength(0);
    expect((await admin.stat(`${root}/lock%2Fa%2Fb%2Ec`))?.ephemeralOwner).toBe(0n);
  });
});
