import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { memoryStore } from "./store.ts";

/** Waits for a condition, patiently enough for a busy machine. */
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 10 });

const value = new Uint8Array(100);
const hour = 3_600_000;

afterEach(() => {
  vi.restoreAllMocks();
});

test("refuses a record above its limits and accepts one again when there is room", async () => {
  await using store = memoryStore({ maxRecords: 2, maxBytes: 1000, maxValueBytes: 950 });
  await store.write("a", value);
  await store.write("b", value);
  await expect(store.write("c", value)).rejects.toMatchObject({
    code: "resource_exhausted",
    outcome: "not-executed",
    message: expect.stringMatching(/2 of 2 records.*raise maxRecords/),
  });
  await store.write("b", new Uint8Array(850));
  await expect(store.write("a", new Uint8Array(200))).rejects.toMatchObject({
    code: "resource_exhausted",
  });
  await store.delete("b");
  await store.write("c", new Uint8Array(850));
});

test("counts keys and metadata against its limit, and releases everything", async () => {
  await using store = memoryStore({ maxBytes: 100 });
  for (let i = 0; i < 50; i++) {
    await store.write("k".repeat(20), new Uint8Array(50), { metadata: { name: "x".repeat(20) } });
    await expect(store.write("other", value)).rejects.toThrow("full");
    await store.delete("k".repeat(20));
  }
});

test("makes room by removing expired records", async () => {
  await using store = memoryStore({ maxRecords: 3 });
  for (const key of ["a", "b", "c"]) await store.write(key, value, { ttlMs: 1 });
  await sleep(5);
  await store.write("d", value);
});

test("an expired record does not come back when the wall clock is set back", async () => {
  const now = Date.now.bind(Date);
  let shift = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now() + shift);
  await using store = memoryStore();
  await store.write("minute", value, { ttlMs: 60_000 });
  await store.write("day", value, { ttlMs: 24 * hour });
  shift = hour;
  expect(await store.read("minute")).toBeUndefined();
  shift = -hour;
  expect(await store.read("minute")).toBeUndefined();
  expect(await store.read("day")).toBeDefined();
  await store.write("short", value, { ttlMs: 20 });
  expect(await store.read("short")).toBeDefined();
  await until(async () => (await store.read("short")) === undefined);
});

describe("the timer", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("is shared by all expiries, never fires early, and stops with the last", async () => {
    await using store = memoryStore();
    for (let i = 1; i <= 2500; i++) await store.write(`key-${i}`, value, { ttlMs: i });
    await store.write("hour", value, { ttlMs: hour });
    await store.write("overwritten", value, { ttlMs: 60 * 24 * hour });
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(2400);
    expect(await store.read("key-2400")).toBeUndefined();
    expect(await store.read("key-2401")).toBeDefined();
    await store.write("overwritten", value);
    await vi.advanceTimersByTimeAsync(hour - 2401);
    expect(vi.getTimerCount()).toBe(1);
    expect(await store.read("hour")).toBeDefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(await store.read("hour")).toBeUndefined();
    expect(await store.read("overwritten")).toBeDefined();
  });

  test("stops with the store", async () => {
    const store = memoryStore();
    await store.write("key", value, { ttlMs: 60 * 24 * hour });
    expect(vi.getTimerCount()).toBe(1);
    await store.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
