import { expect, test, vi } from "vitest";
import { MicroError } from "../base/error.ts";
import type { LogFields, Logger } from "../base/logger.ts";
import { memoryStore } from "../store/memory/store.ts";
import type { Store } from "../store/store.ts";
import type { EventHandler, SubscribeOptions } from "./broker.ts";
import { MemoryBrokerNetwork, memoryBroker } from "./memory/broker.ts";

const until = (condition: () => boolean) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

const event = { body: Buffer.from("x"), contentType: "text/plain", typeName: "", id: "x" };

/** Processes whose brokers share nothing, so that each gets its own copy of an event. */
function processes(count: number) {
  const lines: string[] = [];
  const at = (level: string) => (_: LogFields, message: string) =>
    void lines.push(`${level}: ${message}`);
  const logger: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  };
  const brokers = Array.from({ length: count }, () =>
    memoryBroker({ network: new MemoryBrokerNetwork(), logger, closeGraceMs: 20 }),
  );
  return {
    brokers,
    lines,
    subscribe: (handler: EventHandler, options: SubscribeOptions) =>
      Promise.all(brokers.map((broker) => broker.subscribe("t", handler, options))),
    publish: () => Promise.all(brokers.map((broker) => broker.publish("t", event))),
    async [Symbol.asyncDispose]() {
      await Promise.all(brokers.map((broker) => broker.close()));
    },
  };
}

/** A store whose writes fail while `fails` says so. */
function failing(store: Store, fails: (value: string) => boolean, outcome: "lost" | "unknown") {
  return new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name !== "write") return member.bind(target);
      return async (...args: Parameters<Store["write"]>) => {
        if (!fails(Buffer.from(args[1]).toString())) return target.write(...args);
        if (outcome === "unknown") await target.write(...args);
        throw new MicroError("unavailable", "the store is away");
      };
    },
  });
}

test("processes that share a store handle each event once", async () => {
  await using store = memoryStore();
  await using fleet = processes(4);
  const handler = vi.fn(() => new Promise<void>((resolve) => setTimeout(resolve, 20)));
  const deduplicate = { store, ttlMs: 60_000 };
  const subscriptions = await fleet.subscribe(handler, { queue: "g", deduplicate });
  await fleet.publish();
  const count = (name: "delivered" | "duplicates") =>
    subscriptions.reduce((sum, { stats }) => sum + (stats[name] ?? 0), 0);
  await until(() => count("delivered") + count("duplicates") === 4);
  expect(handler).toHaveBeenCalledTimes(1);
  expect([count("delivered"), count("duplicates")]).toEqual([1, 3]);
});

test("a subscription without the option counts no duplicates", async () => {
  await using fleet = processes(1);
  const [subscription] = await fleet.subscribe(() => undefined, { queue: "g" });
  expect(subscription?.stats).not.toHaveProperty("duplicates");
});

test("an event is remembered for the given time", async () => {
  await using store = memoryStore();
  await using fleet = processes(1);
  const handler = vi.fn();
  const deduplicate = { store, ttlMs: 300 };
  const [subscription] = await fleet.subscribe(handler, { queue: "g", deduplicate });
  await fleet.publish();
  await fleet.publish();
  await until(() => subscription?.stats.duplicates === 1);
  expect(handler).toHaveBeenCalledTimes(1);
  await vi.waitUntil(
    async () => {
      await fleet.publish();
      return handler.mock.calls.length === 2;
    },
    { timeout: 10_000, interval: 50 },
  );
});

test("groups and scopes remember for themselves", async () => {
  await using store = memoryStore();
  await using fleet = processes(1);
  const handler = vi.fn();
  const deduplicate = { store, ttlMs: 60_000 };
  await fleet.subscribe(handler, { queue: "g-1", deduplicate });
  await fleet.subscribe(handler, { queue: "g", deduplicate });
  await fleet.subscribe(handler, { deduplicate: { ...deduplicate, scope: "mail/1" } });
  await fleet.publish();
  await until(() => handler.mock.calls.length === 3);
  const keys = [];
  for await (const { key } of store.list()) keys.push(key);
  expect(keys).toEqual(["handled/g-1/t/x", "handled/g/t/x", "handled/mail%2F1/t/x"]);
});

test("an event is remembered too whose key is longer than the store's keys", async () => {
  await using memory = memoryStore();
  const guarantees = { ...memory.guarantees, maxKeyBytes: 80 };
  const store = new Proxy(memory, {
    get(target, name) {
      if (name === "guarantees") return guarantees;
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  await using fleet = processes(1);
  const handler = vi.fn();
  const deduplicate = { store, ttlMs: 60_000 };
  const [subscription] = await fleet.subscribe(handler, { queue: "g", deduplicate });
  for (const id of ["a".repeat(255), "b".repeat(255), "a".repeat(255)]) {
    await fleet.brokers[0]?.publish("t", { ...event, id });
  }
  await until(() => subscription?.stats.duplicates === 1);
  expect(handler).toHaveBeenCalledTimes(2);
  for await (const { key } of memory.list()) expect(key.length).toBeLessThanOrEqual(80);
});

test("the claim of a process that died holds an event back until it expires", async () => {
  await using store = memoryStore();
  await using fleet = processes(1);
  const claim = Buffer.from('{"state":"claimed","owner":"dead"}');
  await store.write("handled/g/t/x", claim, { ttlMs: 300 });
  const expiry = performance.now() + 300;
  let handledAt = 0;
  const handler = () => {
    handledAt = performance.now();
  };
  await fleet.subscribe(handler, { queue: "g", deduplicate: { store, ttlMs: 60_000 } });
  await fleet.publish();
  await until(() => handledAt > 0);
  expect(handledAt).toBeGreaterThan(expiry - 20);
});

test("a handler that takes longer than its claim keeps it", async () => {
  await using store = memoryStore();
  await using fleet = processes(2);
  const handler = vi.fn(() => new Promise<void>((resolve) => setTimeout(resolve, 400)));
  const deduplicate = { store, ttlMs: 60_000, claimMs: 60 };
  const subscriptions = await fleet.subscribe(handler, { queue: "g", deduplicate });
  await fleet.publish();
  await until(() => subscriptions.some(({ stats }) => stats.duplicates === 1));
  expect(handler).toHaveBeenCalledTimes(1);
});

test("no event is handled while the store is away", async () => {
  await using memory = memoryStore();
  await using fleet = processes(1);
  let isAway = true;
  const store = failing(memory, () => isAway, "lost");
  const handler = vi.fn();
  const options = { queue: "g", redeliveryBackoffMs: 1, deduplicate: { store, ttlMs: 60_000 } };
  const [subscription] = await fleet.subscribe(handler, options);
  await fleet.publish();
  const tries = () => fleet.lines.filter((line) => line.includes("cannot begin yet")).length;
  await until(() => tries() >= 3);
  expect(handler).not.toHaveBeenCalled();
  isAway = false;
  await until(() => subscription?.stats.delivered === 1);
  expect(subscription?.stats).toMatchObject({ failed: 0, rejected: 0 });
});

test.each(["lost", "unknown"] as const)(
  "a success is recorded before the event is acknowledged, if writes are %s meanwhile",
  async (outcome) => {
    await using memory = memoryStore();
    await using fleet = processes(2);
    let left = 3;
    const store = failing(memory, (value) => value.includes('"handled"') && left-- > 0, outcome);
    const handler = vi.fn();
    const options = { queue: "g", redeliveryBackoffMs: 5, deduplicate: { store, ttlMs: 60_000 } };
    const subscriptions = await fleet.subscribe(handler, options);
    await fleet.publish();
    await until(() => subscriptions.some(({ stats }) => stats.duplicates === 1));
    await until(() => subscriptions.some(({ stats }) => stats.delivered === 1));
    expect(handler).toHaveBeenCalledTimes(1);
    expect(fleet.lines).toContain("error: cannot record that an event was handled; trying again");
  },
);

test("an event that fails for good is claimed no more", async () => {
  await using store = memoryStore();
  await using fleet = processes(1);
  const handler = vi.fn(() => {
    throw new Error("always");
  });
  const options = {
    queue: "g",
    maxDeliveries: 2,
    redeliveryBackoffMs: 1,
    deduplicate: { store, ttlMs: 60_000 },
  };
  const [subscription] = await fleet.subscribe(handler, options);
  await fleet.publish();
  await until(() => subscription?.stats.rejected === 1);
  await vi.waitUntil(async () => (await store.read("handled/g/t/x")) === undefined);
  expect(handler).toHaveBeenCalledTimes(2);
});

test("an event that was claimed elsewhere after its claim expired is reported", async () => {
  await using store = memoryStore();
  await using fleet = processes(1);
  let finish = () => {};
  const handler = () => new Promise<void>((resolve) => (finish = resolve));
  const [subscription] = await fleet.subscribe(handler, {
    queue: "g",
    deduplicate: { store, ttlMs: 60_000 },
  });
  await fleet.publish();
  await until(() => subscription?.stats.inFlight === 1 && finish.length === 1);
  await store.write("handled/g/t/x", Buffer.from('{"state":"claimed","owner":"other"}'));
  finish();
  await until(() => subscription?.stats.delivered === 1);
  expect(fleet.lines).toContain("error: an event was handled here, and claimed elsewhere");
});

test("a malformed record is reported, and is not overwritten", async () => {
  await using store = memoryStore();
  await using fleet = processes(1);
  await store.write("handled/g/t/x", Buffer.from("?"));
  const handler = vi.fn();
  const options = { queue: "g", redeliveryBackoffMs: 1, deduplicate: { store, ttlMs: 60_000 } };
  await fleet.subscribe(handler, options);
  await fleet.publish();
  await until(() => fleet.lines.some((line) => line.includes("cannot begin yet")));
  expect(handler).not.toHaveBeenCalled();
  expect(Buffer.from((await store.read("handled/g/t/x"))!.value).toString()).toBe("?");
});

test.each([
  [{ ttlMs: 1_000 }, /deduplicate.store must be a Store/],
  [{ store: memoryStore() }, /deduplicate.ttlMs must be/],
  [{ store: memoryStore(), ttlMs: 1_000 }, /needs a queue, or a scope that names its subscriber/],
  [
    { store: { ...methods(), guarantees: { compareAndSet: false } }, ttlMs: 1, scope: "a" },
    /needs a store with compare-and-set/,
  ],
])("wrong options are refused: %o", async (deduplicate, message) => {
  await using fleet = processes(1);
  const options = { deduplicate } as unknown as SubscribeOptions;
  await expect(fleet.subscribe(() => undefined, options)).rejects.toThrow(message);
});

function methods() {
  return { read: () => undefined, write: () => undefined, delete: () => undefined };
}
