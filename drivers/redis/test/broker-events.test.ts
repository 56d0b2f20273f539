import { redisBroker } from "@micro-es/redis";
import { type Broker, type DeadLetter, EventRejected, silentLogger } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { command } from "./admin.ts";
import { type RedisServer, skipWithoutRedis, startRedis } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
const dyingSubscriber = new URL("dying-subscriber.ts", import.meta.url).href;

describe.skipIf(skipWithoutRedis)("events in Redis", () => {
  let server: RedisServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `e${fleets++}`;
  const open = (prefix: string, more: Parameters<typeof redisBroker>[0] = {}): Broker => {
    const broker = redisBroker({ servers: server.address, prefix, logger, ...more });
    onTestFinished(() => broker.close());
    return broker;
  };
  const redis = (name: string, ...args: (string | number)[]) =>
    command({ servers: server.address }, name, ...args);
  const lettersOf = async (broker: Broker, topic: string) => {
    const all: DeadLetter[] = [];
    for await (const letter of broker.deadLetters?.list(topic) ?? []) all.push(letter);
    return all;
  };

  test("one that is published again under its id is kept once", async () => {
    const broker = open(nextPrefix());
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    for (const id of ["a", "a", "b", "a"]) await broker.publish("topic", { ...textEvent, id });
    await expect.poll(() => seen.includes("b")).toBe(true);
    expect(seen).toEqual(["a", "b"]);
  });

  test("reach a group that had no members meanwhile, and a subscription from a number", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix);
    await (await broker.subscribe("topic", () => {}, { queue: "q" })).close();
    for (const id of ["a", "b", "c"]) await broker.publish("topic", { ...textEvent, id });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await expect.poll(() => seen).toEqual(["a", "b", "c"]);
    const [, second = ""] = (await redis("XRANGE", `${prefix}:{topic}:events`, "-", "+")).match(
      /\d{13}-\d+/g,
    ) as string[];
    const [ms = "", number = ""] = second.split("-");
    const later: string[] = [];
    const from = (BigInt(ms) << 20n) | BigInt(number);
    await broker.subscribe("topic", ({ id }) => void later.push(id), { from });
    await expect.poll(() => later).toEqual(["b", "c"]);
  });

  test("of a process that dies are counted, and become dead letters", async () => {
    const options = { servers: server.address, prefix: nextPrefix(), ackWaitMs: 600 };
    const broker = open(options.prefix, options);
    const group = { queue: "q", maxDeliveries: 2 };
    await (await broker.subscribe("topic", () => {}, group)).close();
    await broker.publish("topic", { ...textEvent, id: "poison", key: "k" });
    const attempts: string[] = [];
    for (let member = 0; member < 4 && attempts.length < 2; member++) {
      const program = await startProgram(dyingSubscriber, { ...options, subscribe: group });
      await program.ended;
      attempts.push(...program.lines);
    }
    expect(attempts).toEqual(["attempt 1", "attempt 2"]);
    const handled: string[] = [];
    await broker.subscribe("topic", ({ id }) => void handled.push(id), group);
    await expect.poll(() => lettersOf(broker, "topic.dead")).toHaveLength(1);
    const [letter] = await lettersOf(broker, "topic.dead");
    expect(letter).toMatchObject({ id: "poison", topic: "topic", key: "k", attempts: 2 });
    expect(letter?.reason).toMatch(/handled 2 times, and no handling ended/);
    expect(handled).toEqual([]);
  });

  test("are acknowledged by their present owner alone", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const cutOff = open(prefix, { servers: `127.0.0.1:${proxy.port}`, ackWaitMs: 500 });
    const other = open(prefix, { ackWaitMs: 500 });
    const group = { queue: "q", maxInFlight: 1 };
    let finishFirst = () => {};
    const first = new Promise<void>((resolve) => {
      finishFirst = resolve;
    });
    let begun = 0;
    await cutOff.subscribe(
      "topic",
      async () => {
        begun++;
        await first;
      },
      group,
    );
    await other.publish("topic", { ...textEvent, id: "only" });
    await expect.poll(() => begun).toBe(1);
    proxy.refuse(true);
    proxy.cut();
    let finishSecond = () => {};
    const attempts: number[] = [];
    await other.subscribe(
      "topic",
      async ({ attempt }) => {
        attempts.push(attempt);
        await new Promise<void>((resolve) => {
          finishSecond = resolve;
        });
      },
      group,
    );
    await expect.poll(() => attempts).toEqual([2]);
    proxy.refuse(false);
    await expect.poll(() => cutOff.state).toBe("healthy");
    finishFirst();
    const pending = async () => (await redis("XPENDING", `${prefix}:{topic}:events`, "q"))[0];
    // The first handler has returned, and what it might have sent has arrived.
    await cutOff.publish("another", textEvent);
    expect(await pending()).toBe("1");
    finishSecond();
    await expect.poll(pending).toBe("0");
  });

  test("that a group has not handled are not trimmed, whatever their age", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix, { maxAgeMs: 1 });
    const stream = `${prefix}:{topic}:events`;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const seen: string[] = [];
    const handler = async ({ id }: { readonly id: string }) => {
      await gate;
      seen.push(id);
    };
    await broker.subscribe("topic", handler, { queue: "q", maxInFlight: 1 });
    const ids = Array.from({ length: 300 }, (_, index) => `${index}`);
    for (const id of ids) await broker.publish("topic", { ...textEvent, id });
    // Each broker trims at its first publication.
    const trimming = async () => {
      await open(prefix, { maxAgeMs: 1 }).publish("topic", { ...textEvent, id: "last" });
    };
    await trimming();
    expect(await redis("XLEN", stream)).toBe("301");
    release();
    await expect.poll(() => seen).toEqual([...ids, "last"]);
    await expect.poll(async () => (await redis("XPENDING", stream, "q"))[0]).toBe("0");
    await trimming();
    await expect.poll(async () => Number(await redis("XLEN", stream))).toBeLessThan(200);
  });

  test("come again to a group whose stream was deleted", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix);
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await broker.publish("topic", { ...textEvent, id: "a" });
    await expect.poll(() => seen).toEqual(["a"]);
    await redis("DEL", `${prefix}:{topic}:events`);
    await broker.publish("topic", { ...textEvent, id: "b" });
    await expect.poll(() => seen).toEqual(["a", "b"]);
  });

  test("that another program wrote otherwise become dead letters", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix);
    await broker.subscribe("topic", () => {}, { queue: "q" });
    await redis("XADD", `${prefix}:{topic}:events`, "*", "greeting", "hello");
    await expect.poll(() => lettersOf(broker, "topic.dead")).toHaveLength(1);
    const [letter] = await lettersOf(broker, "topic.dead");
    expect(letter?.reason).toMatch(/is not an event: it has no fields id and b/);
  });

  test("whose publication was not confirmed are there once, and the outcome is unknown", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const broker = open(prefix, { servers: `127.0.0.1:${proxy.port}` });
    const length = () => redis("XLEN", `${prefix}:{topic}:events`);
    await broker.publish("topic", { ...textEvent, id: "a" });
    proxy.swallowResponses(true);
    const lost = broker.publish("topic", { ...textEvent, id: "b" });
    const failed = expect(lost).rejects.toMatchObject({ code: "unavailable", outcome: "unknown" });
    await expect.poll(length).toBe("2");
    proxy.swallowResponses(false);
    proxy.cut();
    await failed;
    await expect.poll(() => broker.state).toBe("healthy");
    expect(await length()).toBe("2");
    await broker.publish("topic", { ...textEvent, id: "b" });
    expect(await length()).toBe("2");
  });

  test("cannot be published on a full server, and are still handled", async () => {
    await using own = await startRedis();
    const broker = open("full", { servers: own.address });
    const seen: string[] = [];
    let isOpen = false;
    const handler = ({ id }: { readonly id: string }) => {
      if (!isOpen) throw new Error("not yet");
      seen.push(id);
    };
    const options = { queue: "q", maxDeliveries: 1_000, redeliveryBackoffMs: 1 };
    await broker.subscribe("topic", handler, options);
    await broker.publish("topic", { ...textEvent, id: "a" });
    const set = (bytes: number) =>
      command({ servers: own.address }, "CONFIG", "SET", "maxmemory", bytes);
    await set(1);
    await expect(broker.publish("topic", textEvent)).rejects.toMatchObject({
      code: "resource_exhausted",
      outcome: "not-executed",
    });
    isOpen = true;
    await set(0);
    // A failed event waits before its next handling, and others may overtake it.
    await expect.poll(() => seen).toEqual(["a"]);
    await broker.publish("topic", { ...textEvent, id: "b" });
    await expect.poll(() => seen).toEqual(["a", "b"]);
  });

  test("may be lost, though acknowledged, when a replica is promoted that lacks them", async () => {
    await using primary = await startRedis();
    await using proxy = await FaultProxy.start(primary.port);
    await using replica = await startRedis({
      flags: ["--replicaof", "127.0.0.1", `${proxy.port}`, "--repl-diskless-sync-delay", "0"],
    });
    const onReplica = { servers: replica.address };
    const broker = open("lossy", { servers: [primary.address, replica.address] });
    await broker.publish("topic", { ...textEvent, id: "replicated" });
    const count = () => command(onReplica, "XLEN", "lossy:{topic}:events");
    await expect.poll(count).toBe("1");
    proxy.swallow(true);
    await broker.publish("topic", { ...textEvent, id: "lost" });
    await primary.stop();
    await expect.poll(() => broker.state).toBe("lost");
    await command(onReplica, "REPLICAOF", "NO", "ONE");
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("topic", { ...textEvent, id: "after" });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { from: "first" });
    await expect.poll(() => seen).toEqual(["replicated", "after"]);
  });

  test("that a handler rejects are replayed to the handlers that accept them", async () => {
    const broker = open(nextPrefix(), { ordering: "key" });
    const seen: string[] = [];
    let accepts = false;
    await broker.subscribe(
      "topic",
      ({ id, key }) => {
        if (!accepts) throw new EventRejected("no");
        seen.push(`${key}:${id}`);
      },
      { queue: "q" },
    );
    for (const id of ["a", "b", "c"]) {
      await broker.publish("topic", { ...textEvent, id, key: "k" });
    }
    await expect.poll(() => lettersOf(broker, "topic.dead")).toHaveLength(3);
    accepts = true;
    for (const { cursor } of await lettersOf(broker, "topic.dead")) {
      expect(await broker.deadLetters?.replay("topic.dead", cursor)).toBe(true);
    }
    await expect.poll(() => seen).toEqual(["k:a", "k:b", "k:c"]);
    expect(await broker.deadLetters?.topics()).toEqual([]);
  });
});
