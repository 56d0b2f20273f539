import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSync, MemorySyncNetwork, memorySync } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testInCi } from "../support/long.ts";
import { type SyncBackend, syncContract } from "./sync.ts";

let directory: string;
let backends = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "micro-sync-"));
});
afterAll(() => rm(directory, { recursive: true }));

const create: Record<string, () => Promise<SyncBackend>> = {
  async memory() {
    const network = new MemorySyncNetwork();
    return { connect: () => memorySync({ network }) };
  },
  async file() {
    const path = join(directory, String(backends++));
    return { connect: () => fileSync({ path }) };
  },
};

describe.each(Object.entries(create))("sync %s", (_name, backend) => {
  for (const { name, run } of syncContract(backend)) test.concurrent(name, run);
});

describe("the directory of a file sync", () => {
  testInCi(
    "does not grow with the number of ids ever locked, whose tokens keep increasing",
    { timeout: 120_000 },
    async () => {
      const path = join(directory, String(backends++));
      await using one = fileSync({ path });
      await using two = fileSync({ path });
      const size = async () => (await readdir(path, { recursive: true })).length;
      const tokens = new Map<string, bigint>();
      const lockAll = async () => {
        for (let index = 0; index < 300; index++) {
          const id = `order-${index}`;
          const lock = await (index % 2 === 0 ? one : two).lock(id);
          expect(lock.token).toBeGreaterThan(tokens.get(id) ?? 0n);
          tokens.set(id, lock.token);
          expect(await lock.unlock()).toBe(true);
        }
        return size();
      };
      const first = await lockAll();
      // A directory and its state for each bucket, however many ids there were.
      expect(first).toBeLessThanOrEqual(128);
      expect(await lockAll()).toBe(first);
      expect(await one.locks()).toEqual([]);
    },
  );

  test("keeps the leases of one bucket apart while many change at once", async () => {
    const path = join(directory, String(backends++));
    await using one = fileSync({ path });
    await using two = fileSync({ path });
    const ids = Array.from({ length: 150 }, (_, index) => `id-${index}`);
    const locks = await Promise.all(ids.map((id) => one.lock(id, { waitMs: 0, ttlMs: 600_000 })));
    expect((await two.locks()).map(({ id }) => id)).toEqual([...ids].sort());
    await Promise.all(locks.map((lock) => lock.renew()));
    expect(await Promise.all(locks.map((lock) => lock.unlock()))).toEqual(ids.map(() => true));
    expect(await two.locks()).toEqual([]);
  });

  test("begins with free locks and higher tokens after a power failure that left an empty state", async () => {
    const path = join(directory, String(backends++));
    await using before = fileSync({ path });
    const lock = await before.lock("id", { ttlMs: 600_000, renewal: "manual" });
    const [bucket = ""] = await readdir(path);
    const [state = ""] = await readdir(join(path, bucket));
    await truncate(join(path, bucket, state));
    await using after = fileSync({ path });
    const next = await after.lock("id", { waitMs: 0 });
    expect(next.token).toBeGreaterThan(lock.token);
    await expect(lock.renew()).rejects.toMatchObject({ code: "aborted" });
  });
});
