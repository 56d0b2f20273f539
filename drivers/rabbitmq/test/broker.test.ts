import { brokerContract, type CreateBrokers } from "@micro-es/contract/broker";
import { type RabbitMqBrokerOptions, rabbitmqBroker } from "@micro-es/rabbitmq";
import { silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMqServer, skipWithoutRabbitMq, startRabbitMq } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutRabbitMq)("a broker on RabbitMQ", () => {
  let server: RabbitMqServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startRabbitMq();
  });
  afterAll(() => server?.close());

  const brokersOf =
    (how: Pick<RabbitMqBrokerOptions, "ordering" | "format" | "durableQueues">): CreateBrokers =>
    async (count) => {
      const options = { servers: server.address, exchange: `e${fleets++}`, ...how, logger };
      const join = (more: object = {}) => rabbitmqBroker({ ...options, ...more });
      return { brokers: Array.from({ length: count }, () => join()), join };
    };

  // RabbitMQ counts deliveries, also of events that a member gets while it leaves and never sees.
  const countsAttempts = /counts attempts while members/;
  for (const { name, run } of brokerContract(brokersOf({}))) {
    if (!countsAttempts.test(name)) test(name, run);
  }

  /** Many queues make it slow, so only what differs is looked at. */
  describe("in the order of keys", () => {
    const differs =
      /order of a key|member of each queue group|leaves its group|carries an event whole|of one key/;
    for (const { name, run } of brokerContract(brokersOf({ ordering: "key" }))) {
      if (differs.test(name)) test(name, run);
    }
  });

  /** What depends on messages and queues, as far as each queue has one topic. */
  describe("in go-micro's format", () => {
    const differs =
      /every subscriber|member of each queue group|carries|redelivers failed|maxDeliveries|leaves its group|keeps or|^keeps dead|failed for good|members of a group stop|only member/;
    for (const { name, run } of brokerContract(brokersOf({ format: "go-micro" }))) {
      if (differs.test(name)) test(name, run);
    }
  });

  test("a queue has one topic in go-micro's format, and with durableQueues it stays", async () => {
    const options = {
      servers: server.address,
      exchange: "go",
      format: "go-micro",
      logger,
    } as const;
    await using broker = rabbitmqBroker({ ...options, durableQueues: true });
    expect(broker.guarantees.durability).toBe("process-crash");
    expect(rabbitmqBroker(options).guarantees.durability).toBe("none");
    const group = { queue: "stays" };
    await (await broker.subscribe("topic", () => {}, group)).close();
    await expect(broker.subscribe("other", () => {}, group)).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await broker.publish("topic", { ...textEvent, id: "kept" });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), group);
    await expect.poll(() => seen).toEqual(["kept"]);
  });

  test("loses nothing while members of a group stop while handling", async () => {
    const options = { servers: server.address, exchange: "stops", logger };
    await using broker = rabbitmqBroker(options);
    const group = { queue: "g", maxDeliveries: 20, maxInFlight: 3 };
    const ids = Array.from({ length: 100 }, (_, index) => `${index}`);
    const begun = new Map<string, number>();
    const handled = new Set<string>();
    const begin = ({ id, attempt }: { readonly id: string; readonly attempt: number }) => {
      begun.set(id, (begun.get(id) ?? 0) + 1);
      expect(attempt).toBeGreaterThanOrEqual(begun.get(id) ?? 0);
    };
    await (await broker.subscribe("topic", () => {}, group)).close();
    for (const id of ids) await broker.publish("topic", { ...textEvent, id });
    for (let round = 0; round < 4; round++) {
      const member = rabbitmqBroker({ ...options, closeGraceMs: 10 });
      const stuck = await member.subscribe(
        "topic",
        (event) => {
          begin(event);
          return new Promise(() => {});
        },
        group,
      );
      await expect.poll(() => stuck.stats.inFlight).toBe(3);
      await member.close();
    }
    const take = (event: { readonly id: string; readonly attempt: number }) => {
      begin(event);
      handled.add(event.id);
    };
    await broker.subscribe("topic", take, group);
    await expect.poll(() => handled.size).toBe(ids.length);
  });

  test("a group resumes where it stopped, with the events published in the meantime", async () => {
    const options = { servers: server.address, exchange: "later", logger };
    const first = rabbitmqBroker(options);
    await first.subscribe("topic", () => {}, { queue: "q" });
    await first.close();
    await using second = rabbitmqBroker(options);
    await second.publish("topic", { ...textEvent, id: "meanwhile" });
    const seen: string[] = [];
    await second.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await expect.poll(() => seen).toEqual(["meanwhile"]);
  });

  test("carries events of topics and types whose names are too long for AMQP", async () => {
    const options = { servers: server.address, exchange: "long", logger };
    await using broker = rabbitmqBroker(options);
    const topics = ["x".repeat(255), `${"x".repeat(254)}y`, ".a..b."];
    const typeName = "t".repeat(512);
    const seen: string[] = [];
    for (const topic of topics) {
      const take = (event: { readonly topic: string; readonly typeName: string }) =>
        void seen.push(`${event.topic}/${event.typeName.length}`);
      await broker.subscribe(topic, take, { queue: "q".repeat(128) });
    }
    for (const topic of topics) await broker.publish(topic, { ...textEvent, typeName });
    await expect.poll(() => seen.sort()).toEqual(topics.map((topic) => `${topic}/512`).sort());
    const metadata = { ["k".repeat(300)]: "v" };
    await expect(broker.publish("topic", { ...textEvent, metadata })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });
});
