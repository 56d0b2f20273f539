import { connect } from "node:net";
import { nsqBroker } from "@micro-es/nsq";
import { type Broker, type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { recordingLogger } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { commandHead, magic } from "../src/wire/commands.ts";
import { type NsqdServer, nsqdVersion, startNsqd } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
const dyingSubscriber = new URL("dying-subscriber.ts", import.meta.url).href;

describe(`events on ${nsqdVersion}`, () => {
  let server: NsqdServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startNsqd();
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `e${fleets++}.`;
  const open = (prefix: string, more: Parameters<typeof nsqBroker>[0] = {}): Broker => {
    const broker = nsqBroker({ servers: server.address, prefix, logger, ...more });
    onTestFinished(() => broker.close());
    return broker;
  };

  test("of a go-micro publisher are delivered, with their header", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix);
    const seen: IncomingEvent[] = [];
    await broker.subscribe(
      "greetings",
      (event) => {
        seen.push(event);
        if (event.attempt === 1) throw new Error("once");
      },
      { queue: "q", redeliveryBackoffMs: 1 },
    );
    const header = { "Content-Type": "application/json", "X-Tenant": "acme" };
    const body = Buffer.from('{"name":"Ada"}').toString("base64");
    await put(server.port, `${prefix}greetings`, JSON.stringify({ Header: header, Body: body }));
    await expect.poll(() => seen.length).toBe(2);
    const [event, again] = seen;
    expect(Buffer.from(event!.body).toString()).toBe('{"name":"Ada"}');
    expect(event).toMatchObject({
      topic: "greetings",
      contentType: "application/json",
      attempt: 1,
    });
    expect(event!.metadata.get("x-tenant")).toBe("acme");
    // Without an id in its header it has that of the message, in each attempt.
    expect(again).toMatchObject({ id: event!.id, attempt: 2 });
  });

  test("that cannot be read become dead letters, which a subscription to their topic gets", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix, { maxEventBytes: 1_000 });
    const dead: IncomingEvent[] = [];
    await broker.subscribe("odd.dead", (event) => void dead.push(event), { queue: "q" });
    await broker.subscribe("odd", () => {}, { queue: "q" });
    for (const body of ["{", "x".repeat(400_000)]) await put(server.port, `${prefix}odd`, body);
    await expect.poll(() => dead.length).toBe(2);
    const reasons = dead.map(({ metadata }) => String(metadata.get("micro-dead-letter-reason")));
    for (const reason of [
      /longer than maxEventBytes allows/,
      /the event envelope cannot be read/,
    ]) {
      expect(reasons).toContainEqual(expect.stringMatching(reason));
    }
  });

  test("that fail for good stay on their dead letter topic until it is read", async () => {
    const broker = open(nextPrefix());
    const failing = await broker.subscribe("bills", () => Promise.reject(new Error("no")), {
      queue: "q",
      maxDeliveries: 2,
      redeliveryBackoffMs: 1,
    });
    await broker.publish("bills", { ...textEvent, id: "bill" });
    await expect.poll(() => failing.stats.rejected).toBe(1);
    const dead: IncomingEvent[] = [];
    await broker.subscribe("bills.dead", (event) => void dead.push(event), { queue: "operators" });
    await expect.poll(() => dead.map(({ id }) => id)).toEqual(["bill"]);
    expect(broker.deadLetters).toBeUndefined();
  });

  test("that failed are handled next by any member, and their attempts are counted together", async () => {
    const prefix = nextPrefix();
    const attempts: string[] = [];
    for (const name of ["a", "b", "c"]) {
      await open(prefix).subscribe(
        "jobs",
        ({ id, attempt }) => {
          attempts.push(`${id} ${attempt}`);
          if (attempt < 4) throw new Error(`${name} cannot`);
        },
        { queue: "q", redeliveryBackoffMs: 1 },
      );
    }
    const broker = open(prefix);
    await broker.publish("jobs", { ...textEvent, id: "job" });
    await expect.poll(() => attempts).toEqual(["job 1", "job 2", "job 3", "job 4"]);
  });

  test("have their attempts counted across processes that die, and then become dead letters", async () => {
    const prefix = nextPrefix();
    const broker = open(prefix);
    const dead: IncomingEvent[] = [];
    await broker.subscribe("topic.dead", (event) => void dead.push(event), { queue: "q" });
    const subscribe = { queue: "q", maxDeliveries: 2 };
    const argument = { servers: server.address, prefix, ackWaitMs: 1_000, subscribe };
    await broker.publish("topic", { ...textEvent, id: "deadly" });
    for (const attempt of [1, 2]) {
      const program = await startProgram(dyingSubscriber, argument);
      await expect
        .poll(() => program.lines.includes(`attempt ${attempt}`), { timeout: 20_000 })
        .toBe(true);
      await program.kill();
    }
    const calm = open(prefix, { ackWaitMs: 1_000 });
    const handled: string[] = [];
    await calm.subscribe("topic", ({ id }) => void handled.push(id), subscribe);
    await expect.poll(() => dead.map(({ id }) => id), { timeout: 20_000 }).toEqual(["deadly"]);
    expect(String(dead[0]?.metadata.get("micro-dead-letter-reason"))).toMatch(
      /was delivered 2 times, and no handling ended/,
    );
    expect(handled).toEqual([]);
  });

  test("are handled once although the connection of their handling was lost", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const broker = open(prefix);
    const member = open(prefix, { servers: `127.0.0.1:${proxy.port}`, ackWaitMs: 1_000 });
    const seen: string[] = [];
    let finish = () => {};
    const subscription = await member.subscribe(
      "topic",
      ({ id }) => {
        seen.push(id);
        if (id === "slow")
          return new Promise<void>((resolve) => {
            finish = resolve;
          });
        return undefined;
      },
      { queue: "q" },
    );
    await broker.publish("topic", { ...textEvent, id: "slow" });
    await expect.poll(() => seen).toEqual(["slow"]);
    const states: string[] = [];
    member.onStateChange((state) => states.push(state));
    proxy.cut();
    await expect.poll(() => states.length).toBeGreaterThan(0);
    finish();
    await expect.poll(() => subscription.stats.delivered).toBe(1);
    await expect.poll(() => member.state).toBe("healthy");
    // nsqd delivers it again once its time is over, and learns then that it was handled.
    await expect.poll(() => server.depth(`${prefix}topic`, "q"), { timeout: 20_000 }).toBe(0);
    await broker.publish("topic", { ...textEvent, id: "next" });
    await expect.poll(() => seen).toEqual(["slow", "next"]);
  });

  test("whose handlers take longer than ackWaitMs are not delivered to others", async () => {
    const prefix = nextPrefix();
    const seen: string[] = [];
    const members = [open(prefix, { ackWaitMs: 1_000 }), open(prefix, { ackWaitMs: 1_000 })];
    const begun = performance.now();
    for (const [index, member] of members.entries()) {
      await member.subscribe(
        "topic",
        async ({ id }) => {
          seen.push(`${id} by ${index}`);
          await expect
            .poll(() => performance.now() - begun > 3_500, { timeout: 10_000 })
            .toBe(true);
        },
        { queue: "q" },
      );
    }
    await members[0]!.publish("topic", { ...textEvent, id: "long" });
    await expect.poll(() => server.depth(`${prefix}topic`, "q"), { timeout: 10_000 }).toBe(0);
    expect(seen).toHaveLength(1);
  });

  test("of a handler that takes longer than nsqd allows are delivered again, with a warning", async () => {
    await using strict = await startNsqd({ msgTimeoutMs: 1_000, maxMsgTimeoutMs: 1_500 });
    const lines = recordingLogger();
    const member = open("", { servers: strict.address, ackWaitMs: 1_000, logger: lines });
    const other = open("", { servers: strict.address, ackWaitMs: 1_000 });
    let finish = () => {};
    await member.subscribe(
      "topic",
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
      { queue: "q", maxInFlight: 1 },
    );
    await member.publish("topic", { ...textEvent, id: "long" });
    await expect.poll(() => strict.depth("topic", "q")).toBe(1);
    const attempts: number[] = [];
    await other.subscribe("topic", ({ attempt }) => void attempts.push(attempt), { queue: "q" });
    // nsqd may also choose the member that has it, which goes on then.
    await expect.poll(() => attempts.length, { timeout: 30_000 }).toBe(1);
    expect(attempts[0]).toBeGreaterThan(1);
    finish();
    const warned = () => lines.lines.some(({ message }) => /longer than nsqd allows/.test(message));
    await expect.poll(warned).toBe(true);
  });

  test("have names that are too long for nsqd", async () => {
    const [topic, queue] = ["t".repeat(255), "q".repeat(128)];
    const broker = open(nextPrefix());
    const seen: IncomingEvent[] = [];
    await broker.subscribe(topic, (event) => void seen.push(event), { queue });
    await broker.publish(topic, textEvent);
    await expect.poll(() => seen.map((event) => event.topic)).toEqual([topic]);
  });

  test("go to one of several servers each, and all reach every group", async () => {
    await using second = await startNsqd();
    const prefix = nextPrefix();
    const broker = open(prefix, { servers: [server.address, second.address] });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await open(prefix, { servers: server.address }).publish("topic", { ...textEvent, id: "one" });
    await open(prefix, { servers: second.address }).publish("topic", { ...textEvent, id: "two" });
    const ids = Array.from({ length: 20 }, (_, index) => `e${index}`);
    for (const id of ids) await broker.publish("topic", { ...textEvent, id });
    await expect.poll(() => seen.slice().sort()).toEqual([...ids, "one", "two"].sort());

    // Without one of them the others go on.
    await second.kill();
    await expect.poll(() => broker.state).toBe("degraded");
    const publishing = () => broker.publish("topic", { ...textEvent, id: "without" });
    await expect
      .poll(() =>
        publishing().then(
          () => "done",
          () => "failed",
        ),
      )
      .toBe("done");
    await expect.poll(() => seen.includes("without")).toBe(true);
    await second.start();
    await expect.poll(() => broker.state).toBe("healthy");
    await open(prefix, { servers: second.address }).publish("topic", { ...textEvent, id: "back" });
    await expect.poll(() => seen.includes("back")).toBe(true);
  });

  test("of a subscription without a group arrive again after a lost connection", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const member = open(prefix, { servers: `127.0.0.1:${proxy.port}` });
    const seen: string[] = [];
    await member.subscribe("topic", ({ id }) => void seen.push(id));
    proxy.cut();
    // Events that are published before it has subscribed again are lost.
    const publisher = open(prefix);
    const publish = () => publisher.publish("topic", { ...textEvent, id: "after" });
    await expect.poll(() => publish().then(() => seen.includes("after"))).toBe(true);
  });
});

/** Publishes bytes as another program does. */
async function put(port: number, topic: string, body: string): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const bytes = Buffer.from(body);
  socket.write(Buffer.concat([magic, commandHead(`PUB ${topic}`, bytes.length), bytes]));
  await new Promise((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("error", reject);
  });
  socket.destroy();
}
