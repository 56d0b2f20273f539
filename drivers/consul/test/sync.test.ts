import { ConsulLink, consulSync } from "@micro-es/consul";
import { syncContract } from "@micro-es/contract/sync";
import { getsLockAfterCut, losesLock } from "@micro-es/test-support/lock-outage";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { type ConsulServer, skipWithoutConsul, startConsul } from "./server.ts";

describe.skipIf(skipWithoutConsul)("sync in Consul", () => {
  let server: ConsulServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startConsul();
  });
  afterAll(() => server?.close());

  const create = async () => {
    const options = { address: server.url, prefix: `fleets/${fleets++}` };
    return { connect: () => consulSync(options) };
  };
  for (const { name, run } of syncContract(create)) test(name, run);

  test("gets a lock whose holder released it while the link was cut", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = `fleets/${fleets++}`;
    const holding = consulSync({ address: server.url, prefix });
    const link = new ConsulLink({ address: `127.0.0.1:${proxy.port}` });
    const waiting = consulSync({ link, prefix });
    onTestFinished(async () => {
      await holding.close();
      await waiting.close();
      await link.close();
    });
    const calls = vi.spyOn(link, "call");
    const waits = () => calls.mock.calls.some(([{ block }]) => block !== undefined);
    // A cut before that fails the call for the lock.
    const isWaiting = () => expect.poll(waits).toBe(true);
    await getsLockAfterCut({ holding, waiting, proxy, isWaiting });
  });

  test("a wiped Consul loses its locks, whose holders are told", async () => {
    await using own = await startConsul();
    await using sync = consulSync({ address: own.url });
    await losesLock(own, sync, { ttlMs: 9_000, waitMs: 20_000 });
    await expect.poll(() => sync.state).toBe("healthy");
    const next = await sync.lock("orders");
    expect(next.held).toBe(true);
  });

  test("a write of another client does not repeat a token, as its LockIndex would", async () => {
    const prefix = `fleets/${fleets++}`;
    await using sync = consulSync({ address: server.url, prefix });
    const tokens: bigint[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const lock = await sync.lock("orders");
      tokens.push(lock.token);
      const keys = (await new ConsulAdmin(server.url).read(`kv/${prefix}?keys`)) as string[];
      await new ConsulAdmin(server.url).put(`kv/${keys[0]}`, "not a lease");
      await lock.unlock();
    }
    expect([...tokens].sort((a, b) => Number(a - b))).toEqual(tokens);
    expect(new Set(tokens).size).toBe(3);
  });
});
