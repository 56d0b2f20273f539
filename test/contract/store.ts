import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Code,
  MicroError,
  type Store,
  type StoreEvent,
  type StoreRecord,
} from "@micro-es/runtime";
import type { StoreWatchOptions } from "@micro-es/runtime/driver";
import { abortAt, abortMoments } from "./abort-moments.ts";
import type { ContractCase } from "./contract.ts";

const utf8 = new TextEncoder();

/**
 * Keys that have broken stores: paths, separators, patterns, names from JavaScript, different
 * encodings of one letter.
 */
const hostileKeys: readonly string[] = [
  "../../etc/passwd",
  "/",
  ".",
  "..",
  "a\\b",
  "CON",
  "Key",
  "key",
  "\0",
  "a\0b",
  "a\0",
  "a",
  "__proto__",
  "constructor",
  "toString",
  " ",
  "\n",
  "*",
  "a.>",
  "{slot}:x",
  "'; DROP TABLE records; --",
  "é".normalize("NFC"),
  "é".normalize("NFD"),
  "\u{1F600}",
  "\uFFFD",
  "\uFF5E",
  "\u{10FFFF}",
];

/**
 * The behaviour of every store.
 * @param create opens a new empty store for every case; the case closes it.
 */
export function storeContract(create: () => Promise<Store>): readonly ContractCase[] {
  const withStore = (name: string, run: (store: Store) => Promise<void>): ContractCase => ({
    name,
    async run() {
      const store = await create();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    },
  });
  return [
    withStore("reads what was written, and undefined for a missing key", async (store) => {
      const version = await store.write("key", utf8.encode("value"), { metadata: { a: "b" } });
      assert.deepEqual(await store.read("key"), {
        key: "key",
        value: utf8.encode("value"),
        version,
        expiresAt: undefined,
        metadata: { a: "b" },
      });
      assert.equal(await store.read("kez"), undefined);
    }),
    withStore("keeps any bytes, including none", async (store) => {
      const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
      for (const value of [new Uint8Array(), everyByte, new Uint8Array(300_000).fill(7)]) {
        await store.write("key", value);
        assert.deepEqual((await store.read("key"))?.value, value);
      }
    }),
    withStore("copies values in and out", async (store) => {
      const value = Buffer.from("before");
      const written = store.write("key", value);
      value.fill(0);
      await written;
      const first = await store.read("key");
      assert.deepEqual(first?.value, utf8.encode("before"));
      first?.value.fill(0);
      for await (const record of store.list()) record.value.fill(1);
      assert.deepEqual((await store.read("key"))?.value, utf8.encode("before"));
    }),
    withStore("returns metadata with any names", async (store) => {
      const metadata = Object.fromEntries([
        ["__proto__", "p"],
        ["constructor", "c"],
        ["", "é\0"],
      ]);
      await store.write("key", utf8.encode("v"), { metadata });
      const found = (await store.read("key"))?.metadata ?? {};
      assert.deepEqual(Object.entries(found).sort(), Object.entries(metadata).sort());
      assert.equal(({} as Record<string, unknown>).p, undefined);
    }),
    withStore("keeps hostile keys apart, in the order of their bytes", async (store) => {
      for (const key of hostileKeys) await store.write(key, utf8.encode(`value of ${key}`));
      for (const key of hostileKeys) {
        assert.deepEqual((await store.read(key))?.value, utf8.encode(`value of ${key}`));
      }
      const order = [...hostileKeys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(await keys(store.list()), order);
    }),
    withStore("accepts a key up to the limit, and refuses longer ones clearly", async (store) => {
      const longest = "k".repeat(store.guarantees.maxKeyBytes);
      await store.write(longest, utf8.encode("v"));
      assert.deepEqual((await store.read(longest))?.value, utf8.encode("v"));
      for (const key of ["", `${longest}k`, "é".repeat(longest.length / 2 + 1), "\ud800"]) {
        await fails("invalid_argument", () => store.write(key, utf8.encode("v")));
        await fails("invalid_argument", () => store.read(key));
        await fails("invalid_argument", () => store.delete(key));
      }
      assert.deepEqual(await keys(store.list()), [longest]);
    }),
    withStore("refuses a value that is too large and keeps the old one", async (store) => {
      await store.write("key", utf8.encode("old"));
      const tooLarge = new Uint8Array(store.guarantees.maxValueBytes + 1);
      await fails("resource_exhausted", () => store.write("key", tooLarge));
      assert.deepEqual((await store.read("key"))?.value, utf8.encode("old"));
    }),
    withStore("increases versions, also across deletions", async (store) => {
      let last = 0n;
      for (let i = 0; i < 20; i++) {
        const version = await store.write("key", utf8.encode("v"));
        assert.ok(version > last, `${version} after ${last}`);
        assert.equal((await store.read("key"))?.version, version);
        last = version;
        if (i % 3 === 0) assert.equal(await store.delete("key"), true);
      }
    }),
    withStore("deletes, and reports whether there was a record", async (store) => {
      await store.write("key", utf8.encode("v"));
      assert.equal(await store.delete("key"), true);
      assert.equal(await store.delete("key"), false);
      assert.equal(await store.read("key"), undefined);
      assert.deepEqual(await keys(store.list()), []);
    }),
    withStore("writes and deletes at a version only while it is current", async (store) => {
      await fails("aborted", () => store.write("key", utf8.encode("a"), { ifVersion: 1n }));
      const first = await store.write("key", utf8.encode("a"), { ifVersion: 0n });
      await fails("aborted", () => store.write("key", utf8.encode("b"), { ifVersion: 0n }));
      const second = await store.write("key", utf8.encode("b"), { ifVersion: first });
      await fails("aborted", () => store.write("key", utf8.encode("c"), { ifVersion: first }));
      await fails("aborted", () => store.delete("key", { ifVersion: first }));
      assert.deepEqual((await store.read("key"))?.value, utf8.encode("b"));
      assert.equal(await store.delete("key", { ifVersion: second }), true);
      await fails("aborted", () => store.delete("key", { ifVersion: second }));
      assert.equal(await store.delete("key", { ifVersion: 0n }), false);
      await store.write("key", utf8.encode("d"), { ifVersion: 0n });
    }),
    withStore("refuses changes from a holder whose lock has passed to another", async (store) => {
      if (!store.guarantees.fencing) {
        const fence = { lock: "l", token: 1n };
        return fails("unimplemented", () => store.write("key", utf8.encode("v"), { fence }));
      }
      const under = (token: bigint, lock = "lock") => ({ fence: { lock, token } });
      await store.write("key", utf8.encode("a"), under(5n));
      await store.write("key", utf8.encode("b"), under(5n));
      await store.write("key", utf8.encode("c"), under(7n));
      await fails("aborted", () => store.write("key", utf8.encode("stale"), under(6n)));
      await fails("aborted", () => store.delete("key", under(6n)));
      assert.deepEqual((await store.read("key"))?.value, utf8.encode("c"));
      assert.equal(await store.delete("key", under(8n)), true);
      await fails("aborted", () => store.write("key", utf8.encode("stale"), under(7n)));
      assert.equal(await store.read("key"), undefined);
      await store.write("key", utf8.encode("d"), { ...under(9n), ifVersion: 0n, ttlMs: 30 });
      await gone(store, "key", Date.now() + 30);
      await fails("aborted", () => store.write("key", utf8.encode("stale"), under(8n)));
      // A change without a fence, or with another lock's, is not held back by this one.
      await store.write("key", utf8.encode("e"));
      await fails("aborted", () => store.write("key", utf8.encode("stale"), under(8n)));
      await store.write("key", utf8.encode("f"), under(1n, "another lock / \u{1F512}"));
      await fails("aborted", () =>
        store.write("key", utf8.encode("x"), { ...under(9n), ifVersion: 1n }),
      );
      for (const token of [-1n, 1n << 64n]) {
        await fails("invalid_argument", () => store.write("key", utf8.encode("v"), under(token)));
      }
      await fails("invalid_argument", () => store.write("key", utf8.encode("v"), under(1n, "")));
    }),
    withStore("loses none of 50 racing increments", async (store) => {
      const increment = async (): Promise<void> => {
        for (;;) {
          const record = await store.read("counter");
          const value = Number(new TextDecoder().decode(record?.value)) + 1;
          try {
            const ifVersion = record?.version ?? 0n;
            await store.write("counter", utf8.encode(String(value)), { ifVersion });
            return;
          } catch (error) {
            if (!(error instanceof MicroError) || error.code !== "aborted") throw error;
          }
        }
      };
      await Promise.all(Array.from({ length: 50 }, increment));
      assert.equal(new TextDecoder().decode((await store.read("counter"))?.value), "50");
    }),
    withStore("orders writes that are not awaited as they were made", async (store) => {
      const versions = await Promise.all(
        Array.from({ length: 200 }, (_, i) => store.write("key", utf8.encode(String(i)))),
      );
      assert.deepEqual(
        versions,
        [...versions].sort((a, b) => (a < b ? -1 : 1)),
      );
      assert.deepEqual((await store.read("key"))?.value, utf8.encode("199"));
    }),
    withStore("lists by prefix, suffix, offset, limit and cursor", async (store) => {
      for (const key of ["a/1.x", "a/2.x", "a/3.y", "a/4.x", "a/5.x", "b/1.x", "a", "a0"]) {
        await store.write(key, utf8.encode(key));
      }
      const list = async (options: Parameters<Store["list"]>[0]) => keys(store.list(options));
      assert.deepEqual(await list({ prefix: "a/" }), ["a/1.x", "a/2.x", "a/3.y", "a/4.x", "a/5.x"]);
      assert.deepEqual(await list({ suffix: ".y" }), ["a/3.y"]);
      const x = { prefix: "a/", suffix: ".x" };
      assert.deepEqual(await list({ ...x, offset: 1, limit: 2 }), ["a/2.x", "a/4.x"]);
      assert.deepEqual(await list({ ...x, offset: 100 }), []);
      assert.deepEqual(await list({ ...x, limit: 0 }), []);
      assert.deepEqual(await list({ ...x, after: "a/2.x" }), ["a/4.x", "a/5.x"]);
      assert.deepEqual(await list({ ...x, after: "a/3" }), ["a/4.x", "a/5.x"]);
      assert.deepEqual(await list({ ...x, after: "A" }), ["a/1.x", "a/2.x", "a/4.x", "a/5.x"]);
      assert.deepEqual(await list({ ...x, after: "b" }), []);
      assert.deepEqual(await list({ prefix: "none" }), []);
      assert.equal((await list({})).length, 8);
    }),
    withStore("refuses a limit or an offset that is not a count", async (store) => {
      for (const options of [
        { limit: -1 },
        { limit: 1.5 },
        { offset: -1 },
        { offset: Number.NaN },
      ]) {
        await fails("invalid_argument", async () => keys(store.list(options)));
      }
    }),
    withStore("lists every remaining key exactly once while others come and go", async (store) => {
      const stable = Array.from({ length: 300 }, (_, i) => `key-${String(i).padStart(4, "0")}`);
      for (const key of stable) await store.write(key, utf8.encode("stable"));
      let turn = 0;
      const churn = async () => {
        for (let i = 0; i < 3; i++) {
          const key = `key-${String((turn * 37) % 300).padStart(4, "0")}-${turn % 7}`;
          if (turn++ % 2 === 0) await store.write(key, utf8.encode("passing"));
          else await store.delete(`key-${String((turn * 17) % 300).padStart(4, "0")}-${turn % 7}`);
        }
        await store.write(stable[turn % 300]!, utf8.encode("rewritten"));
      };
      const seen: string[] = [];
      for await (const { key } of store.list({ prefix: "key-" })) {
        seen.push(key);
        if (seen.length % 5 === 0) await churn();
      }
      const counted = seen.filter((key) => key.length === 8);
      assert.deepEqual(counted, stable);
      assert.equal(new Set(seen).size, seen.length);
    }),
    withStore("pages with a cursor while others come and go", async (store) => {
      const stable = Array.from({ length: 50 }, (_, i) => `key-${String(i).padStart(3, "0")}`);
      for (const key of stable) await store.write(key, utf8.encode("stable"));
      const seen: string[] = [];
      for (let after = "key-"; ; ) {
        const options = { prefix: "key-", limit: 7, after };
        const page = await keys(store.list(options));
        if (page.length === 0) break;
        seen.push(...page);
        after = page.at(-1)!;
        await store.write(`key-0${page.length}-new`, utf8.encode("passing"));
        await store.delete(`key-0${page.length}-new`);
        await store.write(`before-${after}`, utf8.encode("passing"));
      }
      assert.deepEqual(
        seen.filter((key) => key.length === 7),
        stable,
      );
    }),
    withStore(
      "ends a listing when its signal aborts, and when its reader leaves",
      async (store) => {
        for (let i = 0; i < 20; i++) await store.write(`key-${i}`, utf8.encode("v"));
        const controller = new AbortController();
        let seen = 0;
        await fails("canceled", async () => {
          for await (const _ of store.list({ signal: controller.signal })) {
            if (++seen === 3) controller.abort();
          }
        });
        assert.equal(seen, 3);
        for await (const _ of store.list()) break;
        await fails("canceled", async () => keys(store.list({ signal: AbortSignal.abort() })));
      },
    ),
    withStore("hides a record once it has expired", async (store) => {
      const before = Date.now();
      await store.write("key", utf8.encode("v"), { ttlMs: 40 });
      const expiresAt = (await store.read("key"))?.expiresAt?.getTime();
      if (expiresAt !== undefined) assert.ok(expiresAt >= before + 40);
      await gone(store, "key", before + 40);
      assert.deepEqual(await keys(store.list()), []);
      assert.equal(await store.delete("key"), false);
      await store.write("key", utf8.encode("w"), { ifVersion: 0n });
      assert.equal((await store.read("key"))?.expiresAt, undefined);
    }),
    withStore("uses the expiry of the last write", async (store) => {
      await store.write("stays", utf8.encode("v"), { ttlMs: 20 });
      await store.write("stays", utf8.encode("v"));
      await store.write("later", utf8.encode("v"), { ttlMs: 20 });
      await store.write("later", utf8.encode("v"), { ttlMs: 3_600_000 });
      await store.write("sooner", utf8.encode("v"), { ttlMs: 3_600_000 });
      await store.write("sooner", utf8.encode("v"), { ttlMs: 20 });
      await gone(store, "sooner", Date.now() + 20);
      assert.deepEqual(await keys(store.list()), ["later", "stays"]);
    }),
    withStore("does not treat a ttl of 60 days as expired", async (store) => {
      const ttlMs = 60 * 24 * 3_600_000;
      await store.write("long", utf8.encode("v"), { ttlMs });
      await store.write("short", utf8.encode("v"), { ttlMs: 10 });
      await gone(store, "short", Date.now() + 10);
      const found = await store.read("long");
      assert.ok(Math.abs(found!.expiresAt!.getTime() - Date.now() - ttlMs) < 60_000);
    }),
    withStore("refuses a ttl that is not a duration", async (store) => {
      for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
        await fails("invalid_argument", () => store.write("key", utf8.encode("v"), { ttlMs }));
      }
      assert.equal(await store.read("key"), undefined);
    }),
    withStore(
      "sends a watch the existing records and then each change, in order",
      async (store) => {
        if (!store.guarantees.watch) return;
        await store.write("a/1", utf8.encode("one"), { metadata: { m: "x" } });
        await store.write("b/1", utf8.encode("of no concern"));
        await using watch = watched(store, { prefix: "a/" });
        const first = await watch.next();
        assert.equal(first.type, "snapshot");
        assert.deepEqual(first.type === "snapshot" && first.records, [await store.read("a/1")]);
        const version = await store.write("a/2", utf8.encode("two"));
        await store.write("b/2", utf8.encode("of no concern"));
        await store.write("a/2", utf8.encode("three"));
        await store.delete("a/1");
        await store.delete("a/1");
        await store.write("a/3", utf8.encode("short"), { ttlMs: 60 });
        const told = [await watch.next(), await watch.next(), await watch.next()];
        assert.deepEqual(told.map(inShort), ["a/2=two", "a/2=three", "-a/1"]);
        assert.equal(told[0]?.type === "written" && told[0].record.version, version);
        assert.deepEqual([await watch.next(), await watch.next()].map(inShort), [
          "a/3=short",
          "-a/3",
        ]);
      },
    ),
    withStore(
      "sends another snapshot to a watch that is behind, within its limit",
      async (store) => {
        if (!store.guarantees.watch) return;
        await using watch = watched(store, {});
        assert.equal(inShort(await watch.next()), "snapshot of 0");
        const count = 1_500;
        for (let i = 0; i < count; i += 100) {
          await Promise.all(
            Array.from({ length: 100 }, (_, j) => store.write(`key-${i + j}`, utf8.encode("v"))),
          );
        }
        const folded = new Set<string>();
        while (folded.size < count) {
          const event = await watch.next();
          if (event.type === "snapshot") {
            folded.clear();
            for (const { key } of event.records) folded.add(key);
          } else if (event.type === "written") folded.add(event.record.key);
        }
        await store.write("last", utf8.encode("v"));
        assert.equal(inShort(await watch.next()), "last=v");
      },
    ),
    withStore("ends a watch by return while it waits, and while it begins", async (store) => {
      if (!store.guarantees.watch) return;
      const beginning = store.watch()[Symbol.asyncIterator]();
      const first = beginning.next();
      await beginning.return?.();
      const { done, value } = await first;
      assert.ok(done === true || value.type === "snapshot");
      assert.equal((await beginning.next()).done, true);
      const watch = store.watch()[Symbol.asyncIterator]();
      assert.equal((await watch.next()).value?.type, "snapshot");
      const waiting = watch.next();
      await watch.return?.();
      assert.equal((await waiting).done, true);
    }),
    withStore("ends a listing and a watch whose signal fires while they begin", async (store) => {
      for (const moment of abortMoments) {
        const listing = await abortAt(moment, (signal) => keys(store.list({ signal })), {
          leaves: false,
        });
        assert.deepEqual(listing ?? [], []);
        if (!store.guarantees.watch) continue;
        const controller = new AbortController();
        const watch = store.watch({ signal: controller.signal })[Symbol.asyncIterator]();
        const first = watch.next();
        const reached = moment.reached();
        if (reached !== undefined) await reached;
        controller.abort();
        const { done, value } = await first;
        assert.ok(done === true || value.type === "snapshot", moment.name);
        assert.equal((await watch.next()).done, true, moment.name);
      }
    }),
    withStore("refuses invalid options at the call, before any iteration", async (store) => {
      for (const wrong of [{ limit: -1 }, { offset: -1 }, { limit: 1.5 }, { limit: Number.NaN }]) {
        await fails("invalid_argument", async () => void store.list(wrong));
      }
    }),
    withStore("ends a watch with its signal, and with the store", async (store) => {
      if (!store.guarantees.watch) {
        return fails("unimplemented", async () => store.watch());
      }
      const controller = new AbortController();
      let events = 0;
      for await (const _ of store.watch({ signal: controller.signal })) {
        events++;
        controller.abort();
      }
      for await (const _ of store.watch({ signal: controller.signal })) events++;
      for await (const _ of store.watch()) {
        events++;
        await store.close();
      }
      assert.equal(events, 2);
      await fails("unavailable", async () => store.watch());
    }),
    {
      name: "fails clearly after it was closed, and closes again without effect",
      async run() {
        const store = await create();
        await store.write("key", utf8.encode("v"));
        await Promise.all([store.close(), store.close()]);
        await store.close();
        await fails("unavailable", () => store.read("key"));
        await fails("unavailable", () => store.write("key", utf8.encode("v")));
        await fails("unavailable", () => store.delete("key"));
        await fails("unavailable", () => keys(store.list()));
      },
    },
    {
      name: "ends its listings when it is closed",
      async run() {
        const store = await create();
        for (let i = 0; i < 20; i++) await store.write(`key-${i}`, utf8.encode("v"));
        await fails("unavailable", async () => {
          for await (const _ of store.list()) await store.close();
        });
      },
    },
  ];
}

/** The events of a watch, one by one. */
function watched(store: Store, options: StoreWatchOptions) {
  const events = store.watch(options)[Symbol.asyncIterator]();
  return {
    async next(): Promise<StoreEvent> {
      const { done, value } = await events.next();
      assert.ok(done !== true, "the watch has ended");
      return value;
    },
    [Symbol.asyncDispose]: async () => void (await events.return?.()),
  };
}

function inShort(event: StoreEvent): string {
  switch (event.type) {
    case "snapshot":
      return `snapshot of ${event.records.length}`;
    case "written":
      return `${event.record.key}=${new TextDecoder().decode(event.record.value)}`;
    case "deleted":
      return `-${event.key}`;
  }
}

async function keys(records: AsyncIterable<StoreRecord>): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of records) found.push(key);
  return found;
}

/** Waits until a record has expired, and checks that it could not be read for too long. */
async function gone(store: Store, key: string, expiresAt: number): Promise<void> {
  // The write may have begun slightly after the caller read the clock.
  const latest = expiresAt + 2_000;
  for (;;) {
    const asked = Date.now();
    const record = await store.read(key);
    if (record === undefined) return;
    assert.ok(asked < record.expiresAt!.getTime(), "read after it had expired");
    assert.ok(asked < latest, "never expired");
    await sleep(5);
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
