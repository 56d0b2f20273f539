import { type KafkaBrokerOptions, kafkaBroker } from "@micro-es/kafka";
import { type Broker, type DeadLetter, EventRejected, silentLogger } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { Connection, listOffsetsV7, produceV9 } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type KafkaServer, skipWithoutKafka, startKafka } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
const dyingSubscriber = new URL("dying-subscriber.ts", import.meta.url).href;

describe.skipIf(skipWithoutKafka)("events in Kafka", () => {
  let server: KafkaServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startKafka({ proxies: 1 });
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `e${fleets++}`;
  const open = (prefix: string, more: KafkaBrokerOptions = {}): Broker => {
    const own = { servers: server.address, prefix, logger, partitions: 4 };
    const broker = kafkaBroker({ ...own, timeoutMs: 20_000, sessionTimeoutMs: 2_000, ...more });
    onTestFinished(() => broker.close());
    return broker;
  };
  const lettersOf = async (broker: Broker, topic: string) => {
    const all: DeadLetter[] = [];
    for await (const letter of broker.deadLetters?.list(topic) ?? []) all.push(letter);
    return all;
  };
  /** Works with the client library alone. */
  const withTools = async <T>(work: (tools: Connection) => Promise<T>): Promise<T> => {
    const tools = new Connection("test");
    await tools.connect("127.0.0.1", server.port);
    try {
      return await work(tools);
    } finally {
      await tools.close();
    }
  };
  /** The number of records in the partitions of a topic. */
  const lengthOf = (name: string, partitions = 4) =>
    withTools(async (tools) => {
      const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({
        partitionIndex,
        currentLeaderEpoch: -1,
        timestamp: -1n,
      }));
      const request = [{ name, partitions: asked }];
      const { topics } = await listOffsetsV7.api.async(tools, -1, 0, request);
      return topics[0]?.partitions.reduce((sum, { offset }) => sum + Number(offset), 0);
    });

  test("reach a group that had no members meanwhile", async () => {
    const broker = open(nextPrefix());
    await (await broker.subscribe("topic", () => {}, { queue: "q" })).close();
    for (const id of ["a", "b", "c"]) await broker.publish("topic", { ...textEvent, id });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await expect.poll(() => seen.toSorted()).toEqual(["a", "b", "c"]);
  });

  test("are replayed from an offset, which is limited to those there are", async () => {
    const broker = open(nextPrefix(), { partitions: 1 });
    for (const id of ["a", "b", "c"]) await broker.publish("topic", { ...textEvent, id });
    const [seen, late]: [string[], string[]] = [[], []];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { from: 1n });
    await broker.subscribe("topic", ({ id }) => void late.push(id), { from: 1_000n });
    await broker.publish("topic", { ...textEvent, id: "d" });
    await expect.poll(() => seen).toEqual(["b", "c", "d"]);
    await expect.poll(() => late).toEqual(["d"]);
    const negative = broker.subscribe("topic", () => {}, { from: -1n });
    await expect(negative).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("of a process that dies are counted, and become dead letters", async () => {
    const options = { servers: server.address, prefix: nextPrefix(), sessionTimeoutMs: 600 };
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

  test("of one key are handled one at a time while members come", async () => {
    const prefix = nextPrefix();
    const seen: number[] = [];
    let [atOnce, most] = [0, 0];
    const handler = async ({ id }: { readonly id: string }) => {
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setTimeout(resolve, 3));
      seen.push(Number(id));
      atOnce--;
    };
    const join = () => open(prefix).subscribe("topic", handler, { queue: "q" });
    await join();
    const publisher = open(prefix);
    const publishing = (async () => {
      for (let id = 0; id < 300; id++) {
        await publisher.publish("topic", { ...textEvent, id: `${id}`, key: "k" });
      }
    })();
    for (let member = 0; member < 3; member++) await join();
    await publishing;
    await expect.poll(() => seen.length).toBe(300);
    expect(seen).toEqual(Array.from({ length: 300 }, (_, id) => id));
    expect(most).toBe(1);
  });

  test("move to a new member although a handler of the old one does not end", async () => {
    const prefix = nextPrefix();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const [old, fresh]: [string[], string[]] = [[], []];
    const stuck = await open(prefix).subscribe(
      "topic",
      async ({ id }) => {
        if (id === "stuck") await gate;
        old.push(id);
      },
      { queue: "q" },
    );
    const publisher = open(prefix);
    await publisher.publish("topic", { ...textEvent, id: "stuck" });
    await expect.poll(() => stuck.stats.inFlight).toBe(1);
    await open(prefix).subscribe("topic", ({ id }) => void fresh.push(id), { queue: "q" });
    let id = 0;
    await expect
      .poll(async () => {
        await publisher.publish("topic", { ...textEvent, id: `${id++}` });
        return fresh.length;
      })
      .toBeGreaterThan(0);
    release();
    await expect.poll(() => old.length + fresh.length).toBe(id + 1);
    expect(new Set([...old, ...fresh]).size).toBe(id + 1);
  });

  test("are handled by one member alone once another was silent for too long", async () => {
    await using proxy = await server.proxy();
    const prefix = nextPrefix();
    const servers = `127.0.0.1:${proxy.port}`;
    const limits = { sessionTimeoutMs: 600, timeoutMs: 2_000 };
    const cutOff = open(prefix, { servers, ...limits });
    const group = { queue: "q", maxInFlight: 1 };
    let finishFirst = () => {};
    const first = new Promise<void>((resolve) => {
      finishFirst = resolve;
    });
    let begun = 0;
    const member = await cutOff.subscribe(
      "topic",
      async () => {
        begun++;
        await first;
      },
      group,
    );
    const other = open(prefix, { sessionTimeoutMs: 600 });
    for (const id of ["a", "b"]) await other.publish("topic", { ...textEvent, id, key: "k" });
    await expect.poll(() => begun).toBe(1);
    proxy.refuse(true);
    proxy.cut();
    const seen: string[] = [];
    await other.subscribe("topic", ({ id, attempt }) => void seen.push(`${id}${attempt}`), group);
    await expect.poll(() => seen).toEqual(["a2", "b1"]);
    proxy.refuse(false);
    finishFirst();
    await expect.poll(() => cutOff.state).toBe("healthy");
    await expect.poll(() => member.stats.pending).toBe(0);
    // Its next events are those that it gets as a member of the group again.
    for (let id = 0; id < 8; id++) {
      await other.publish("topic", { ...textEvent, id: `later-${id}-` });
    }
    await expect.poll(() => seen.length - 2 + begun - 1).toBe(8);
  });

  test("whose publication was not confirmed are stored once", async () => {
    await using proxy = await server.proxy();
    const prefix = nextPrefix();
    const broker = open(prefix, { servers: `127.0.0.1:${proxy.port}` });
    await broker.publish("topic", { ...textEvent, id: "a" });
    proxy.swallowResponses(true);
    const published = broker.publish("topic", { ...textEvent, id: "b" });
    await expect.poll(() => lengthOf(`${prefix}.topic`)).toBe(2);
    proxy.swallowResponses(false);
    proxy.cut();
    await published;
    await broker.publish("topic", { ...textEvent, id: "c" });
    expect(await lengthOf(`${prefix}.topic`)).toBe(3);
  });

  test("fail with an unknown outcome when no confirmation comes in time", async () => {
    await using proxy = await server.proxy();
    const prefix = nextPrefix();
    const broker = open(prefix, { servers: `127.0.0.1:${proxy.port}`, timeoutMs: 1_000 });
    await broker.publish("topic", textEvent);
    proxy.swallowResponses(true);
    const failed = { code: "unavailable", outcome: "unknown" };
    await expect(broker.publish("topic", textEvent)).rejects.toMatchObject(failed);
    proxy.swallowResponses(false);
    proxy.cut();
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("topic", textEvent);
  });

  test("of other programs are handled, and those that are too large become dead letters", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix, { maxEventBytes: 70_000 });
    const seen: unknown[] = [];
    await broker.subscribe(
      "topic",
      ({ id, key, contentType, body, metadata }) =>
        void seen.push([id, key, contentType, String(body), metadata.toObject()]),
      { queue: "q" },
    );
    const record = (value: string | undefined) => ({
      topic: `${prefix}.topic`,
      partition: 1,
      key: Buffer.from("k"),
      value: (value === undefined ? undefined : Buffer.from(value)) as Buffer,
      headers: new Map([
        [Buffer.from("Tenant"), Buffer.from("acme")],
        [Buffer.from("not allowed\n"), Buffer.from("x")],
      ]),
    });
    const records = [record("hello"), record(undefined), record("x".repeat(70_001))];
    await withTools((tools) => produceV9.api.async(tools, -1, 5_000, records));
    const like = ["k", "application/octet-stream"];
    await expect
      .poll(() => seen)
      .toEqual([
        ["record-1-0", ...like, "hello", { tenant: "acme" }],
        ["record-1-1", ...like, "", { tenant: "acme" }],
      ]);
    await expect.poll(() => lettersOf(broker, "topic.dead")).toHaveLength(1);
    const [letter] = await lettersOf(broker, "topic.dead");
    expect(letter?.reason).toMatch(/is not an event: .* over the limit of 70000/);
  });

  test("that a handler rejects are replayed to the handlers that accept them", async () => {
    const broker = open(nextPrefix());
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
    const letters = await lettersOf(broker, "topic.dead");
    for (const { cursor } of letters) {
      // Only one of several operators replays or drops it.
      const one = broker.deadLetters?.replay("topic.dead", cursor);
      expect(await one).toBe(true);
    }
    await expect.poll(() => seen).toEqual(["k:a", "k:b", "k:c"]);
    expect(await broker.deadLetters?.topics()).toEqual([]);
  });

  test("on dead letter topics are dropped by one of several processes", async () => {
    const prefix = nextPrefix();
    const [one, two] = [open(prefix), open(prefix)];
    const fail = () => Promise.reject(new EventRejected("no"));
    await one.subscribe("topic", fail, { queue: "q" });
    await one.publish("topic", { ...textEvent, id: "a" });
    await expect.poll(() => lettersOf(two, "topic.dead")).toHaveLength(1);
    const [letter] = await lettersOf(one, "topic.dead");
    const cursor = letter?.cursor ?? "";
    const drops = [one, two, one, two].map((each) => each.deadLetters?.drop("topic.dead", cursor));
    expect((await Promise.all(drops)).filter((isDropped) => isDropped)).toHaveLength(1);
    expect(await lettersOf(two, "topic.dead")).toEqual([]);
    expect(await one.deadLetters?.read("topic.dead", cursor)).toBeUndefined();
  });

  test("cannot be on topics whose names are the same or too long in Kafka", async () => {
    const broker = open(nextPrefix());
    await broker.publish("orders.new", textEvent);
    const same = broker.publish("orders_new", textEvent);
    await expect(same).rejects.toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    await expect(same).rejects.toThrow(/collides with existing topic/);
    const long = broker.publish("x".repeat(255), textEvent);
    await expect(long).rejects.toThrow(/is too long for Kafka/);
    const subscribing = broker.subscribe("x".repeat(255), () => {});
    await expect(subscribing).rejects.toMatchObject({ code: "invalid_argument" });
  });
});
