import { randomUUID } from "node:crypto";
import { type PubSubBrokerOptions, PubSubLink, pubsubBroker } from "@micro-es/pubsub";
import { type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { errorOf, recordingLogger } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PubSubServer, skipWithoutPubSub, startPubSub } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutPubSub)("a broker whose Pub/Sub fails", () => {
  let server: PubSubServer;
  beforeAll(async () => {
    server = await startPubSub();
  });
  afterAll(() => server?.close());

  const projectOf = () => `p${randomUUID().slice(0, 18)}0`;
  const brokerOf = (options: PubSubBrokerOptions) => pubsubBroker({ logger, ...options });

  test("a group resumes where it stopped, with the events published in the meantime", async () => {
    const options = { project: projectOf(), emulator: server.address };
    const first = brokerOf(options);
    await first.subscribe("topic", () => {}, { queue: "q" });
    await first.close();
    await using second = brokerOf(options);
    await second.publish("topic", { ...textEvent, id: "meanwhile" });
    const seen: string[] = [];
    await second.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await expect.poll(() => seen).toEqual(["meanwhile"]);
  });

  test("goes on after its connections are cut, without losing an event", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const emulator = `127.0.0.1:${proxy.port}`;
    await using broker = brokerOf({
      ...{ project: projectOf(), emulator, timeoutMs: 20_000, ackWaitMs: 2_000 },
    });
    const handled = new Map<string, number>();
    const take = ({ id }: IncomingEvent) => void handled.set(id, (handled.get(id) ?? 0) + 1);
    await broker.subscribe("topic", take, { queue: "q" });
    const states: string[] = [];
    broker.onStateChange((state) => states.push(state));
    const ids = Array.from({ length: 40 }, (_, index) => `${index}`);
    for (const id of ids) {
      if (Number(id) % 10 === 5) {
        proxy.cut();
        await expect.poll(() => broker.state).toBe("healthy");
      }
      await publishUntilTaken(() => broker.publish("topic", { ...textEvent, id }));
    }
    // Events on a stream that was cut come back after ackWaitMs.
    await expect.poll(() => handled.size, { timeout: 30_000 }).toBe(ids.length);
    expect(proxy.cuts).toBeGreaterThan(0);
    expect(states).toContain("lost");
    expect(broker.state).toBe("healthy");
  });

  test("is lost while the server is away, and then creates what the server has forgotten", async () => {
    await using own = await startPubSub();
    const recorded = recordingLogger();
    await using broker = pubsubBroker({
      ...{ project: projectOf(), emulator: own.address, logger: recorded, timeoutMs: 5_000 },
    });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await broker.publish("topic", { ...textEvent, id: "before" });
    await expect.poll(() => seen).toEqual(["before"]);
    await own.stop();
    await expect.poll(() => broker.state).toBe("lost");
    const failed = await errorOf(broker.publish("topic", textEvent));
    expect(failed).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    await own.start();
    await expect.poll(() => broker.state).toBe("healthy");
    await expect
      .poll(() => recorded.lines.some(({ message }) => /was deleted; it is created/.test(message)))
      .toBe(true);
    await expect
      .poll(async () => {
        await broker.publish("topic", { ...textEvent, id: "after" });
        return seen.includes("after");
      })
      .toBe(true);
  });

  test("keeps an event for its member while a handler takes longer than ackWaitMs", async () => {
    await using broker = brokerOf({
      ...{ project: projectOf(), emulator: server.address, ackWaitMs: 1_000 },
    });
    let [begun, ended] = [0, 0];
    const handler = async () => {
      begun++;
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      ended++;
    };
    await broker.subscribe("topic", handler, { queue: "q" });
    await broker.publish("topic", textEvent);
    await expect.poll(() => ended, { timeout: 20_000 }).toBe(1);
    expect(begun).toBe(1);
  });

  test("waits for a server that is not up yet, and fails at once when told not to wait", async () => {
    await using own = await startPubSub();
    await own.stop();
    await using impatient = brokerOf({
      ...{ project: projectOf(), emulator: own.address, startTimeoutMs: 0 },
    });
    const failed = await errorOf(impatient.subscribe("topic", () => {}));
    expect(failed).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(failed.message).toContain(`connect to Pub/Sub at http://${own.address}`);
    await using patient = brokerOf({ project: projectOf(), emulator: own.address });
    const subscribing = patient.subscribe("topic", () => {});
    await expect.poll(() => patient.state).toBe("lost");
    await own.start();
    await subscribing;
    expect(patient.state).toBe("healthy");
  });

  test("refuses a subscription that exists with another order", async () => {
    const options = { project: projectOf(), emulator: server.address };
    await using ordered = brokerOf({ ...options, ordering: "key" });
    await ordered.subscribe("topic", () => {}, { queue: "q" });
    await using other = brokerOf(options);
    const failed = await errorOf(other.subscribe("topic", () => {}, { queue: "q" }));
    expect(failed).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
    expect(failed.message).toMatch(/created with the order of keys, and is used without it/);
  });

  test("carries names, keys and metadata that are too long for an attribute", async () => {
    const options = { project: projectOf(), emulator: server.address };
    await using broker = brokerOf({ ...options, ordering: "key" });
    const topics = ["x".repeat(255), `${"x".repeat(254)}y`, ".a..b."];
    const key = "é€😀".repeat(250);
    const metadata = { long: "v".repeat(4_000), "bytes-bin": new Uint8Array([0, 1, 255]) };
    const seen: IncomingEvent[] = [];
    for (const topic of topics) {
      await broker.subscribe(topic, (event) => void seen.push(event), { queue: "q".repeat(128) });
    }
    for (const topic of topics) await broker.publish(topic, { ...textEvent, key, metadata });
    await expect.poll(() => seen.map(({ topic }) => topic).sort()).toEqual([...topics].sort());
    for (const event of seen) {
      expect(event.key).toBe(key);
      expect(event.metadata.get("long")).toBe(metadata.long);
      expect(event.metadata.getBinary("bytes-bin")).toEqual(metadata["bytes-bin"]);
    }
  });

  test("shares one connection between brokers, whose owner closes it", async () => {
    await using link = new PubSubLink({ project: projectOf(), emulator: server.address });
    const one = pubsubBroker({ link, logger });
    await one.publish("topic", textEvent);
    await one.close();
    await using other = pubsubBroker({ link, logger });
    await other.publish("topic", textEvent);
    expect(link.closed).toBe(false);
  });
});

/** Publishes again what certainly was not published. */
async function publishUntilTaken(publish: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await publish();
    } catch (error) {
      if ((error as { outcome?: string }).outcome !== "not-executed") throw error;
    }
  }
}
