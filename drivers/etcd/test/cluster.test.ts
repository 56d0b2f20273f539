import { configSourceContract } from "@micro-es/contract/config";
import { storeContract } from "@micro-es/contract/store";
import { syncContract } from "@micro-es/contract/sync";
import { etcdStore, etcdSync } from "@micro-es/etcd";
import { MicroError, type Store, type StoreRecord } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EtcdAdmin, moveLeader } from "./admin.ts";
import { keysFixture } from "./config-keys.ts";
import { type EtcdServer, skipWithoutEtcd, startCluster } from "./server.ts";

const utf8 = new TextEncoder();
const flags = ["--heartbeat-interval", "50", "--election-timeout", "500"];

describe.skipIf(skipWithoutEtcd)("a cluster of three of which one member is dead", () => {
  let members: readonly EtcdServer[] = [];
  let names = 0;
  const endpoints = () => members.map(({ url }) => url);
  const nextPrefix = () => `/cluster/${names++}`;
  beforeAll(async () => {
    members = await startCluster(3, { flags });
    // What began as leader is dead, and another one was elected.
    const [dead] = await moveLeader(members.map(({ url }) => url));
    await members.find(({ url }) => url === dead)?.stop();
  });
  afterAll(async () => {
    for (const member of members) await member.close();
  });

  describe("store", () => {
    const create = async () =>
      etcdStore({ endpoints: endpoints(), prefix: nextPrefix(), timeoutMs: 30_000 });
    for (const { name, run } of storeContract(create)) test(name, run);
  });
  describe("sync", () => {
    const create = async () => {
      const options = { endpoints: endpoints(), prefix: nextPrefix() };
      return { connect: () => etcdSync(options) };
    };
    for (const { name, run } of syncContract(create)) test(name, run);
  });
  describe("config source", () => {
    const create = () => {
      const living = members.find(({ running }) => running)?.url ?? "";
      return keysFixture({ endpoints: endpoints() }, nextPrefix(), new EtcdAdmin(living));
    };
    for (const { name, run } of configSourceContract(create)) test(name, run);
  });
});

describe.skipIf(skipWithoutEtcd)("a cluster of three whose leaders move and members die", () => {
  let members: readonly EtcdServer[] = [];
  const urls = () => members.map(({ url }) => url);
  beforeAll(async () => {
    members = await startCluster(3, { flags });
  });
  afterAll(async () => {
    for (const member of members) await member.close();
  });

  /** Moves the leader and kills members in turn, until the work is done. */
  const disturb = async (work: Promise<unknown>): Promise<number> => {
    let over = false;
    const done = work.finally(() => {
      over = true;
    });
    done.catch(() => {});
    let faults = 0;
    for (; !over || faults < 3; faults++) {
      const [before] = await moveLeader(urls());
      const victim = faults % 2 === 0 ? members.find(({ url }) => url === before) : members[0];
      await victim?.stop();
      await victim?.start();
    }
    await done;
    return faults;
  };

  test("loses no change of a store, repeats none, and its watch sees each version in order", async () => {
    const stores = urls().map((_, index) => {
      const store = etcdStore({ endpoints: [...urls().slice(index), ...urls().slice(0, index)] });
      onTestFinished(() => store.close());
      return store;
    });
    const [first] = stores as [Store, ...Store[]];
    const ending = new AbortController();
    let seen: StoreRecord | undefined;
    const back: bigint[] = [];
    const watching = (async () => {
      for await (const event of first.watch({ prefix: "counter", signal: ending.signal })) {
        const records = event.type === "snapshot" ? event.records : [];
        const [record] = event.type === "written" ? [event.record] : records;
        if (record === undefined) continue;
        if (record.version < (seen?.version ?? 0n)) back.push(record.version);
        seen = record;
      }
    })();
    let [counted, unsure] = [0, 0];
    const increment = async (store: Store) => {
      const record = await store.read("counter");
      const next = Number(new TextDecoder().decode(record?.value)) + 1;
      const ifVersion = record?.version ?? 0n;
      await store.write("counter", utf8.encode(`${next}`), { ifVersion });
    };
    const work = stores.map(async (store) => {
      for (let done = 0; done < 150; ) {
        try {
          await increment(store);
          counted++;
          done++;
        } catch (error) {
          if (!(error instanceof MicroError)) throw error;
          if (error.outcome !== "not-executed" && /write/.test(error.message)) unsure++;
        }
      }
    });
    await disturb(Promise.all(work));
    const last = await first.read("counter");
    const value = Number(new TextDecoder().decode(last?.value));
    expect(value).toBeGreaterThanOrEqual(counted);
    expect(value).toBeLessThanOrEqual(counted + unsure);
    await expect.poll(() => seen?.version).toBe(last?.version);
    expect(back).toEqual([]);
    ending.abort();
    await watching;
  }, 180_000);

  test("keeps a lock that is renewed, and grants it to the next with a larger token", async () => {
    const [holding, waiting] = [etcdSync({ endpoints: urls() }), etcdSync({ endpoints: urls() })];
    onTestFinished(async () => {
      await holding.close();
      await waiting.close();
    });
    const lock = await holding.lock("orders", { ttlMs: 30_000 });
    const next = (async () => {
      for (;;) {
        try {
          return await waiting.lock("orders", { ttlMs: 30_000 });
        } catch (error) {
          // While a member that it waits at stops, an attempt may fail.
          if (!(error instanceof MicroError) || error.code !== "unavailable") throw error;
        }
      }
    })();
    let granted = false;
    next.then(
      () => {
        granted = true;
      },
      () => {},
    );
    const faults = await disturb(Promise.resolve());
    expect(faults).toBe(3);
    expect([lock.held, granted]).toEqual([true, false]);
    await expect
      .poll(
        () =>
          lock.renew().then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    expect(await lock.unlock()).toBe(true);
    expect((await next).token).toBeGreaterThan(lock.token);
  }, 180_000);
});
