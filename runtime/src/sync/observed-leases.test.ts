import { expect, test } from "vitest";
import { MicroError } from "../base/error.ts";
import { LeaseSync } from "./lease-sync.ts";
import {
  type LeaseRecord,
  type LeaseRecords,
  type LeaseRecordWatcher,
  ObservedLeases,
} from "./observed-leases.ts";

/** Records in memory, whose next change loses its response. */
class Records implements LeaseRecords {
  readonly name = "records";
  readonly state = "healthy";
  readonly records = new Map<string, LeaseRecord>();
  readonly #watchers = new Set<LeaseRecordWatcher>();
  revision = 0n;
  /** Whether the next put happens although its response is lost; undefined for a usual one. */
  lost: { readonly happens: boolean } | undefined;
  watchable = true;
  reads = 0;

  onStateChange(): () => void {
    return () => {};
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    this.reads++;
    return this.records.get(key);
  }

  async put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    const { lost } = this;
    this.lost = undefined;
    if (lost?.happens !== false) {
      if ((this.records.get(key)?.revision ?? 0n) !== ifRevision) return undefined;
      this.records.set(key, { revision: ++this.revision, value });
      for (const watcher of this.#watchers) watcher.changed(this.records.get(key));
    }
    if (lost === undefined) return this.revision;
    throw new MicroError("unavailable", "the response was lost", { outcome: "unknown" });
  }

  async delete(key: string, ifRevision: bigint): Promise<boolean> {
    if (this.records.get(key)?.revision !== ifRevision) return false;
    this.records.delete(key);
    for (const watcher of this.#watchers) watcher.changed(undefined);
    return true;
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    if (this.watchable) {
      this.#watchers.add(watcher);
      watcher.changed(this.records.get(key));
    } else watcher.failed();
    return () => this.#watchers.delete(watcher);
  }

  async list() {
    return { records: [...this.records].map(([key, record]) => ({ key, ...record })) };
  }

  async close(): Promise<void> {}
}

const guarantees = { reach: "backend", fairness: "process", durability: "none" } as const;

function syncOn(records: Records): LeaseSync {
  return new LeaseSync(new ObservedLeases(records), guarantees);
}

test("a lock whose response was lost belongs to its caller if it was taken", async () => {
  const records = new Records();
  await using sync = syncOn(records);
  records.lost = { happens: true };
  const lock = await sync.lock("orders");
  expect(lock).toMatchObject({ held: true, token: 1n });
  expect(await lock.unlock()).toBe(true);
});

test("a lock whose response was lost is not granted if it was not taken", async () => {
  const records = new Records();
  await using sync = syncOn(records);
  records.lost = { happens: false };
  await expect(sync.lock("orders")).rejects.toMatchObject({
    code: "unavailable",
    outcome: "unknown",
  });
  const lock = await sync.lock("orders", { waitMs: 0 });
  expect(lock.held).toBe(true);
});

test("a renewal whose response was lost keeps the lock, and the next one continues it", async () => {
  const records = new Records();
  await using sync = syncOn(records);
  const lock = await sync.lock("orders", { renewal: "manual", ttlMs: 60_000 });
  records.lost = { happens: true };
  await expect(lock.renew()).rejects.toMatchObject({ outcome: "unknown" });
  await lock.renew();
  expect(lock.held).toBe(true);
  expect(await lock.unlock()).toBe(true);
});

test("a lease whose record keeps changing is not taken, however old it is by its own clock", async () => {
  const records = new Records();
  await using holding = syncOn(records);
  await using wanting = syncOn(records);
  const lock = await holding.lock("orders", { ttlMs: 150 });
  await expect(wanting.lock("orders", { waitMs: 600 })).rejects.toMatchObject({
    code: "deadline_exceeded",
  });
  expect(lock.held).toBe(true);
});

test("records of other programs hold nothing, and are replaced", async () => {
  const records = new Records();
  records.records.set("lock/orders", { revision: ++records.revision, value: Buffer.from("{}") });
  await using sync = syncOn(records);
  expect(await sync.locks()).toEqual([]);
  const lock = await sync.lock("orders", { waitMs: 0 });
  expect(lock.token).toBe(2n);
  expect((await sync.locks()).map(({ id, token }) => [id, token])).toEqual([["orders", 2n]]);
});

test("records that cannot be watched are not read without a pause", async () => {
  const records = new Records();
  await using holding = syncOn(records);
  await using wanting = syncOn(records);
  await holding.lock("orders", { ttlMs: 60_000 });
  records.watchable = false;
  records.reads = 0;
  await expect(wanting.lock("orders", { waitMs: 500 })).rejects.toMatchObject({
    code: "deadline_exceeded",
  });
  expect(records.reads).toBeLessThan(20);
});
