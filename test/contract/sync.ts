import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Code, type Lock, MicroError, memoryStore, type Sync } from "@micro-es/runtime";
import { abortAt, abortMoments } from "./abort-moments.ts";
import type { ContractCase } from "./contract.ts";

/** One backend, as several processes use it. */
export interface SyncBackend {
  /** Connects another sync to the same backend. */
  connect(): Sync;
  close?(): Promise<void>;
}

const ttlMs = 500;

/**
 * The behaviour of every sync.
 * @param create creates a backend that shares nothing with another one.
 */
export function syncContract(create: () => Promise<SyncBackend>): readonly ContractCase[] {
  const withBackend = (
    name: string,
    run: (connect: () => Sync) => Promise<void>,
  ): ContractCase => ({
    name,
    async run() {
      const backend = await create();
      const syncs: Sync[] = [];
      const connect = () => {
        const sync = backend.connect();
        syncs.push(sync);
        return sync;
      };
      try {
        await run(connect);
      } finally {
        await Promise.all(syncs.map((sync) => sync.close()));
        await backend.close?.();
      }
    },
  });
  const withSyncs = (
    name: string,
    run: (one: Sync, two: Sync, three: Sync) => Promise<void>,
  ): ContractCase => withBackend(name, (connect) => run(connect(), connect(), connect()));
  return [
    withSyncs("grants a lock to one holder at a time", async (one, two, three) => {
      let holders = 0;
      let last = 0n;
      const work = async (sync: Sync) => {
        for (let turn = 0; turn < 5; turn++) {
          const lock = await sync.lock("counter", { ttlMs: 5_000 });
          assert.equal(++holders, 1);
          assert.ok(lock.token > last, `token ${lock.token} after ${last}`);
          last = lock.token;
          assert.equal(lock.held, true);
          await sleep(1);
          holders--;
          assert.equal(await lock.unlock(), true);
          assert.equal(lock.held, false);
        }
      };
      await Promise.all([one, one, two, three].map(work));
    }),
    withSyncs(
      "keeps ids apart, including unusual ones, and locks from leaders",
      async (one, two) => {
        const ids = ["a", "A", "a.b", "a/b", "../a", "*", ">", " ", "é", "\0", "a b", "{}", "ключ"];
        const locks = await Promise.all(ids.map((id) => one.lock(id, { waitMs: 0 })));
        assert.equal(locks.length, ids.length);
        for (const id of ids) {
          await fails("deadline_exceeded", () => two.lock(id, { waitMs: 0 }));
        }
        const leader = await two.lead("a", { waitMs: 0 });
        await leader.resign();
      },
    ),
    withSyncs("waits for a lock as long as specified", async (one, two) => {
      const held = await one.lock("id");
      await fails("deadline_exceeded", () => two.lock("id", { waitMs: 0 }));
      await fails("deadline_exceeded", () => two.lock("id", { waitMs: 50 }));
      await fails("canceled", () => two.lock("id", { signal: AbortSignal.abort() }));
      const controller = new AbortController();
      const canceled = fails("canceled", () => two.lock("id", { signal: controller.signal }));
      await sleep(20);
      controller.abort();
      await canceled;
      const waiting = two.lock("id", { waitMs: 10_000 });
      await sleep(20);
      await held.unlock();
      await (await waiting).unlock();
    }),
    withSyncs("serves callers of one process in order", async (one, two) => {
      const held = await two.lock("line");
      const order: number[] = [];
      const waiting = [1, 2, 3, 4, 5].map(async (place) => {
        const lock = await one.lock("line");
        order.push(place);
        await lock.unlock();
      });
      await sleep(50);
      await held.unlock();
      await Promise.all(waiting);
      assert.deepEqual(order, [1, 2, 3, 4, 5]);
    }),
    withSyncs("renews a lock that is held for longer than its ttl", async (one, two) => {
      // Renewals come every third of it, and a busy disk must not hold one up for the rest.
      const longMs = 3 * ttlMs;
      const lock = await one.lock("long", { ttlMs: longMs });
      await fails("deadline_exceeded", () => two.lock("long", { waitMs: 2 * longMs }));
      assert.equal(lock.held, true);
      assert.equal(lock.signal.aborted, false);
      assert.equal(await lock.unlock(), true);
    }),
    withSyncs(
      "ends a lock that is not renewed, and reports it before another holder gets it",
      async (one, two) => {
        const lock = await one.lock("short", { ttlMs, renewal: "manual" });
        let firedAt = Number.POSITIVE_INFINITY;
        lock.signal.addEventListener("abort", () => {
          firedAt = performance.now();
        });
        const next = await two.lock("short", { ttlMs, waitMs: 10_000 });
        assert.ok(firedAt <= performance.now(), "the holder was not told");
        assert.equal(lock.held, false);
        assert.ok(lock.signal.reason instanceof MicroError);
        assert.equal(lock.signal.reason.code, "aborted");
        assert.ok(next.token > lock.token);
        await fails("aborted", () => lock.renew());
        assert.equal(await lock.unlock(), false);
        assert.equal(next.held, true);
        await fails("deadline_exceeded", () => one.lock("short", { waitMs: 0 }));
        assert.equal(await next.unlock(), true);
      },
    ),
    withSyncs("renews manually", async (one, two) => {
      const lock = await one.lock("hand", { ttlMs, renewal: "manual" });
      const contender = fails("deadline_exceeded", () => two.lock("hand", { waitMs: 2 * ttlMs }));
      for (let turn = 0; turn < 8; turn++) {
        await sleep(ttlMs / 4);
        await lock.renew();
      }
      await contender;
      assert.equal(await lock.unlock(), true);
      assert.equal(await lock.unlock(), true);
      await fails("aborted", () => lock.renew());
    }),
    withSyncs("refuses every late unlock", async (one, two) => {
      const stale: Lock[] = [];
      for (let index = 0; index < 20; index++) {
        stale.push(await one.lock(`late-${index}`, { ttlMs: 100, renewal: "manual" }));
      }
      const fresh = await Promise.all(
        stale.map(({ id }) => two.lock(id, { waitMs: 10_000, ttlMs: 5_000 })),
      );
      for (const lock of stale) assert.equal(await lock.unlock(), false);
      for (const lock of fresh) {
        await lock.renew();
        assert.equal(await lock.unlock(), true);
      }
    }),
    withSyncs("issues tokens by which a store detects stale writes", async (one, two) => {
      const store = memoryStore();
      const write = (lock: Lock, text: string) =>
        store.write("key", new TextEncoder().encode(text), {
          fence: { lock: lock.id, token: lock.token },
        });
      const paused = await one.lock("fenced", { ttlMs: 100, renewal: "manual" });
      await write(paused, "first");
      const next = await two.lock("fenced", { waitMs: 10_000 });
      await write(next, "second");
      await fails("aborted", () => write(paused, "stale"));
      assert.equal(new TextDecoder().decode((await store.read("key"))?.value), "second");
      await store.close();
    }),
    withSyncs("elects one leader, who resigns for the next", async (one, two, three) => {
      assert.equal(await three.leader("group"), undefined);
      const first = await one.lead("group", { candidate: "one" });
      assert.deepEqual(await three.leader("group"), { candidate: "one", epoch: first.epoch });
      const waiting = two.lead("group", { candidate: "two" });
      await sleep(20);
      assert.equal(await first.resign(), true);
      const second = await waiting;
      assert.ok(second.epoch > first.epoch);
      assert.equal(second.candidate, "two");
      assert.deepEqual(await three.leader("group"), { candidate: "two", epoch: second.epoch });
      assert.equal(first.held, false);
      assert.equal(await second.resign(), true);
      assert.equal(await three.leader("group"), undefined);
    }),
    withSyncs("lets the next candidate lead when the leader stops renewing", async (one, two) => {
      const first = await one.lead("failover", { ttlMs, renewal: "manual" });
      const second = await two.lead("failover", { ttlMs, waitMs: ttlMs + 3_000 });
      assert.equal(first.signal.aborted, true);
      assert.ok(second.epoch > first.epoch);
      assert.equal(await first.resign(), false);
      assert.equal(second.held, true);
    }),
    withSyncs("lists held locks, their holders and expiry", async (one, two, three) => {
      assert.deepEqual(await three.locks(), []);
      const before = Date.now();
      const long = await one.lock("orders/é", { ttlMs: 60_000, holder: "one" });
      const renewed = await one.lock("orders/2", { ttlMs, renewal: "manual" });
      const given = await two.lock("given", { ttlMs: 60_000 });
      const lead = await two.lead("group", { ttlMs: 60_000, candidate: "two" });
      const since = (await three.locks({ prefix: "orders/2" }))[0]?.since.getTime();
      await sleep(50);
      await renewed.renew();
      await given.unlock();
      const locks = await three.locks();
      assert.deepEqual(
        locks.map(({ id, token }) => [id, token]),
        [
          ["orders/2", renewed.token],
          ["orders/é", long.token],
        ],
      );
      const [short, held] = locks;
      assert.equal(held?.holder, "one");
      assert.match(short?.holder ?? "", new RegExp(`/${process.pid}$`));
      assert.equal(short?.since.getTime(), since, "a renewal is not a new start");
      // Clocks of this host and of its backend agree within a second.
      const age = (held?.since.getTime() ?? 0) - before;
      assert.ok(age > -1_000 && age < 60_000, `taken ${age} ms after it was asked for`);
      const left = (held?.expiresAt.getTime() ?? 0) - (held?.since.getTime() ?? 0);
      assert.ok(Math.abs(left - 60_000) < 1_000, `${left} ms from its beginning to its end`);
      const [leader, ...others] = await one.leaders();
      assert.deepEqual(others, []);
      assert.deepEqual([leader?.id, leader?.holder, leader?.token], ["group", "two", lead.epoch]);
      await until(async () => (await three.locks({ prefix: "orders/2" })).length === 0);
      await fails("canceled", () => three.locks({ signal: AbortSignal.abort() }));
      await Promise.all([long.unlock(), lead.resign()]);
      assert.deepEqual([await one.locks(), await one.leaders()], [[], []]);
    }),
    withSyncs("refuses invalid ids and times", async (one) => {
      for (const id of ["", "x".repeat(513), "\ud800"]) {
        await fails("invalid_argument", () => one.lock(id));
        await fails("invalid_argument", () => one.leader(id));
      }
      for (const wrong of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await fails("invalid_argument", () => one.lock("id", { ttlMs: wrong }));
      }
      await fails("invalid_argument", () => one.lock("id", { holder: "x".repeat(513) }));
      for (const wrong of [-1, Number.NaN]) {
        await fails("invalid_argument", () => one.lock("id", { waitMs: wrong }));
      }
    }),
    withBackend(
      "gives back with close what is being taken, renewed or given back",
      async (connect) => {
        const other = connect();
        const changes = {
          renewed: (lock: Lock) => lock.renew(),
          "given back": (lock: Lock) => lock.unlock(),
          untouched: async () => {},
        };
        for (const moment of abortMoments) {
          for (const [change, begin] of Object.entries(changes)) {
            const sync = connect();
            const lock = await sync.lock("closing", { ttlMs: 600_000 });
            const changing = begin(lock).catch(() => {});
            await moment.reached();
            await sync.close();
            await changing;
            await (await soon(other, "closing", `${change}, ${moment.name}`)).unlock();
          }
          const sync = connect();
          const taking = sync.lock("closing", { ttlMs: 600_000 });
          taking.catch(() => {});
          await moment.reached();
          await sync.close();
          await (await soon(other, "closing", `taken, ${moment.name}`)).unlock();
          const [taken] = await Promise.allSettled([taking]);
          assert.ok(taken.status === "rejected" || !taken.value.held, moment.name);
        }
      },
    ),
    withSyncs("takes no lock whose signal aborts before it is granted", async (one, two) => {
      for (const moment of abortMoments) {
        for (const waitMs of [0, 10_000]) {
          const options = { ttlMs: 600_000, waitMs };
          const lock = await abortAt(moment, (signal) => one.lock("id", { ...options, signal }));
          if (lock !== undefined) assert.equal(await lock.unlock(), true);
          await (await soon(two, "id", moment.name)).unlock();
        }
      }
    }),
    withSyncs("releases its locks on close, and ends waiting calls", async (one, two) => {
      const lock = await one.lock("held");
      const other = await two.lock("other");
      const waiting = fails("unavailable", () => one.lock("other"));
      await sleep(20);
      await Promise.all([one.close(), one.close()]);
      await waiting;
      assert.equal(lock.signal.aborted, true);
      assert.equal(await lock.unlock(), false);
      await (await two.lock("held", { waitMs: 5_000 })).unlock();
      assert.equal(other.held, true);
      await fails("unavailable", () => one.lock("held"));
      await fails("unavailable", () => one.lead("held"));
      await fails("unavailable", () => one.leader("held"));
      await fails("unavailable", () => one.locks());
    }),
  ];
}

/** Takes a lock that is released by now or in a moment, long before its ttl. */
async function soon(sync: Sync, id: string, when: string): Promise<Lock> {
  return sync.lock(id, { waitMs: 5_000 }).catch((error: unknown) => {
    throw new assert.AssertionError({ message: `${when}: ${String(error)}` });
  });
}

/** Waits for a condition, at most ten seconds. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!(await condition())) {
    assert.ok(performance.now() < giveUpAt, "waited for ten seconds");
    await sleep(20);
  }
}

async function fails(code: Code, action: () => Promise<unknown>): Promise<void> {
  await assert.rejects(
    async () => action(),
    (error: unknown) => {
      assert.ok(error instanceof MicroError, `not a MicroError: ${error}`);
      assert.equal(error.code, code, error.message);
      return true;
    },
  );
}
