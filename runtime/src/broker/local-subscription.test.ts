import { expect, test, vi } from "vitest";
import type { LogFields, Logger } from "../base/logger.ts";
import { silentLogger } from "../base/logger.ts";
import type { IncomingEvent, OutgoingEvent } from "./broker.ts";
import { closeForCaller } from "./close-for-caller.ts";
import type { LocalSubscription } from "./local-subscription.ts";
import { MemoryBrokerNetwork, type MemoryBrokerOptions, memoryBroker } from "./memory/broker.ts";

const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

const create = (options: MemoryBrokerOptions = {}) =>
  memoryBroker({ network: new MemoryBrokerNetwork(), logger: silentLogger, ...options });

const event = (text: string): OutgoingEvent => ({
  body: Buffer.from(text),
  contentType: "text/plain",
  typeName: "",
});

const textOf = (got: IncomingEvent) => Buffer.from(got.body).toString();
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("every failure of a handler is logged with its consequence", async () => {
  const lines: [level: string, fields: LogFields, message: string][] = [];
  const at = (level: string) => (fields: LogFields, message: string) =>
    void lines.push([level, fields, message]);
  const logger: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  };
  const broker = create({ logger });
  const error = new Error("no");
  const subscription = await broker.subscribe(
    "logged",
    () => {
      throw error;
    },
    { maxDeliveries: 2, redeliveryBackoffMs: 1, queue: "q" },
  );
  await broker.publish("logged", { ...event("x"), id: "e1" });
  await until(() => subscription.stats.rejected === 1);
  await broker.close();
  expect(lines).toEqual([
    [
      "warn",
      { topic: "logged", queue: "q", event: "e1", attempt: 1, error },
      "a handler failed; the event is delivered again",
    ],
    [
      "error",
      { topic: "logged", queue: "q", event: "e1", attempt: 2, error },
      "an event failed for good, and goes to logged.dead",
    ],
  ]);
});

test("closing abandons a handler that never ends, after the grace, and aborts its signal", async () => {
  const broker = create({ closeGraceMs: 20 });
  let signal: AbortSignal | undefined;
  const subscription = await broker.subscribe(
    "hang",
    (got) => {
      signal = got.signal;
      return new Promise(() => {});
    },
    { maxInFlight: 1 },
  );
  await broker.publish("hang", event("1"));
  await broker.publish("hang", event("2"));
  await until(() => subscription.stats.inFlight === 1);
  await broker.close();
  expect(signal?.reason).toMatchObject({ code: "canceled" });
  expect(subscription.stats).toEqual({
    delivered: 0,
    failed: 0,
    rejected: 0,
    dropped: 2,
    inFlight: 0,
    pending: 0,
  });
});

test("a closing subscription still handles its events, without waiting for backoffs", async () => {
  const broker = create();
  const seen: string[] = [];
  const subscription = await broker.subscribe(
    "drain",
    (got) => {
      seen.push(`${textOf(got)}${got.attempt}`);
      if (textOf(got) === "bad" && got.attempt < 3) throw new Error("not yet");
    },
    { redeliveryBackoffMs: 60_000, maxInFlight: 1 },
  );
  await broker.publish("drain", event("bad"));
  await until(() => subscription.stats.failed === 1);
  for (const text of ["a", "b", "c"]) await broker.publish("drain", event(text));
  await subscription.close();
  expect(seen.slice().sort()).toEqual(["a1", "b1", "bad1", "bad2", "bad3", "c1"]);
  expect(subscription.stats).toMatchObject({ delivered: 4, failed: 2, dropped: 0 });
  await broker.close();
});

test("no event is lost when all members of a group close at once", async () => {
  const broker = create();
  const seen: string[] = [];
  const take = async (got: IncomingEvent) => {
    await turn();
    seen.push(textOf(got));
  };
  const options = { queue: "q", maxInFlight: 1 };
  const members = await Promise.all([1, 2, 3].map(() => broker.subscribe("all", take, options)));
  for (let index = 0; index < 30; index++) await broker.publish("all", event(`${index}`));
  await Promise.all(members.map((member) => member.close()));
  expect(new Set(seen).size).toBe(30);
  await broker.subscribe("all", take, options);
  await broker.publish("all", event("later"));
  await until(() => seen.includes("later"));
  await broker.close();
});

test("members join and leave three hundred times: each event is handled once, and none after a close", async () => {
  const broker = create();
  const counts = new Map<string, number>();
  let late = 0;
  const join = async () => {
    let closed = false;
    const take = async (got: IncomingEvent) => {
      if (closed) late++;
      await turn();
      counts.set(got.id, (counts.get(got.id) ?? 0) + 1);
    };
    const member = await broker.subscribe("churn", take, { queue: "q", maxInFlight: 2 });
    return async () => {
      await member.close();
      closed = true;
    };
  };
  const stay = await join();
  let published = 0;
  for (let round = 0; round < 300; round++) {
    const leave = await join();
    for (let index = 0; index < 4; index++) {
      await broker.publish("churn", { ...event(""), id: `${published++}`, key: `${index % 3}` });
    }
    await leave();
  }
  await stay();
  expect([counts.size, [...new Set(counts.values())], late]).toEqual([published, [1], 0]);
  await broker.close();
});

test("an event that hangs in a leaving member goes to another one, with the rest of its key", async () => {
  const broker = create({ closeGraceMs: 20 });
  const seen: string[] = [];
  const options = { queue: "q" };
  const hanging = await broker.subscribe("key", () => new Promise(() => {}), options);
  await broker.publish("key", { ...event("1"), key: "k" });
  await until(() => hanging.stats.inFlight === 1);
  await broker.subscribe("key", (got) => void seen.push(`${textOf(got)} ${got.attempt}`), options);
  await broker.publish("key", { ...event("2"), key: "k" });
  await hanging.close();
  await until(() => seen.length === 2);
  expect(seen).toEqual(["1 2", "2 1"]);
  expect(hanging.stats).toMatchObject({ delivered: 0, dropped: 0, inFlight: 0, pending: 0 });
  await broker.close();
});

test("an event that fails in one member of a group is tried in any", async () => {
  const broker = create();
  const good: string[] = [];
  const options = { queue: "q", redeliveryBackoffMs: 1, maxDeliveries: 50 };
  const bad = await broker.subscribe("any", () => Promise.reject(new Error("broken")), options);
  await broker.subscribe("any", (got) => void good.push(textOf(got)), options);
  for (let index = 0; index < 20; index++) await broker.publish("any", event(`${index}`));
  await until(() => good.length === 20);
  expect(bad.stats.delivered).toBe(0);
  await broker.close();
});

test("waiting events are also bounded in bytes, and one event always fits", async () => {
  const broker = create({ maxPendingBytes: 100 });
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const subscription = await broker.subscribe("bytes", () => gate, { maxInFlight: 1 });
  await broker.publish("bytes", event("first"));
  await until(() => subscription.stats.inFlight === 1);
  await broker.publish("bytes", event("x".repeat(200)));
  await broker.publish("bytes", event("y"));
  expect(subscription.stats).toMatchObject({ pending: 1, dropped: 1 });
  open();
  await until(() => subscription.stats.delivered === 2);
  for (let index = 0; index < 3; index++) await broker.publish("bytes", event("z".repeat(60)));
  await until(() => subscription.stats.delivered + subscription.stats.dropped === 6);
  await broker.close();
});

test("a dead letter that cannot be published is retried before the event is dropped", async () => {
  const broker = create();
  const publish = vi.spyOn(
    broker as unknown as { publishDeadLetter(): Promise<void> },
    "publishDeadLetter",
  );
  publish.mockRejectedValueOnce(new Error("down")).mockRejectedValueOnce(new Error("down"));
  let handled = 0;
  const dead: IncomingEvent[] = [];
  await broker.subscribe("dead", (got) => void dead.push(got));
  const subscription = await broker.subscribe(
    "bury",
    () => {
      handled++;
      throw new Error("no");
    },
    { maxDeliveries: 3, redeliveryBackoffMs: 1, deadLetter: "dead" },
  );
  await broker.publish("bury", event("x"));
  await until(() => dead.length === 1);
  expect(handled).toBe(3);
  expect(publish).toHaveBeenCalledTimes(3);
  expect(subscription.stats).toMatchObject({ failed: 3, rejected: 1, dropped: 0 });
  await broker.close();
});

test("a dead letter topic cannot be the topic itself", async () => {
  const broker = create();
  await expect(broker.subscribe("loop", () => {}, { deadLetter: "loop" })).rejects.toMatchObject({
    code: "invalid_argument",
  });
  await broker.close();
});

test("the backoff doubles", async () => {
  const broker = create();
  const times: number[] = [];
  const subscription = await broker.subscribe(
    "backoff",
    () => {
      times.push(performance.now());
      throw new Error("no");
    },
    { maxDeliveries: 4, redeliveryBackoffMs: 10 },
  );
  await broker.publish("backoff", event("x"));
  await until(() => subscription.stats.rejected === 1);
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  // Timers may fire late but never early, so each wait has a lower bound: 80 % of 10, 20 and 40 ms.
  expect(waits.map((wait, index) => wait >= 0.8 * 10 * 2 ** index - 1)).toEqual([true, true, true]);
  await broker.close();
});

test("a handler that changes its event's metadata changes no other subscriber's", async () => {
  const broker = create();
  const seen: (string | undefined)[] = [];
  for (let index = 0; index < 2; index++) {
    await broker.subscribe("meta", (got) => {
      seen.push(got.metadata.get("a"));
      got.metadata.set("a", "changed");
    });
  }
  await broker.publish("meta", { ...event("x"), metadata: { a: "1" } });
  await broker.close();
  expect(seen).toEqual(["1", "1"]);
});

test("a handler's close that fails rejects at once, and not after the grace", async () => {
  const broker = create();
  let failure: unknown;
  const subscription = (await broker.subscribe("fails", async () => {
    const closing = closeForCaller(Promise.resolve(), [subscription], silentLogger, {
      // As GracePeriod does it, which waits for work that does not reject.
      wait: (work) => new Promise((resolve) => void work.then(() => resolve())),
    });
    failure = await closing.catch((reason: unknown) => reason);
  })) as LocalSubscription;
  const error = new Error("cannot be closed");
  vi.spyOn(subscription, "closeExceptForClosers").mockRejectedValueOnce(error);
  await broker.publish("fails", event("x"));
  await until(() => failure === error);
  await broker.close();
});
