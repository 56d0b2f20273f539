import { once } from "node:events";
import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { errorOf, recordingLogger } from "@micro-es/test-support/server";
import { type Channel, type ChannelModel, connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMqServer, skipWithoutRabbitMq, startRabbitMq } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutRabbitMq)("a broker on a RabbitMQ that fails", () => {
  let server: RabbitMqServer;
  let model: ChannelModel;
  let tools: Channel;
  const openTools = async () => {
    model = await connect(`amqp://${server.address}`);
    model.on("error", () => {});
    tools = await model.createChannel();
    tools.on("error", () => {});
  };
  const brokerOn = (exchange: string, more: object = {}) =>
    rabbitmqBroker({ servers: server.address, exchange, logger, ...more });
  beforeAll(async () => {
    server = await startRabbitMq();
    await openTools();
    // Such a queue would not come back if it were declared a moment before the server is killed.
    await using broker = brokerOn("killed");
    await broker.subscribe("topic", () => {}, { queue: "q" });
  });
  afterAll(async () => {
    await model?.close().catch(() => {});
    await server?.close();
  });

  const collect = async (broker: Broker, options: object, seen: string[] = []) => {
    await broker.subscribe("topic", ({ id }) => void seen.push(id), options);
    return seen;
  };

  test("a queue that is deleted under its consumers is declared again, and that is logged", async () => {
    const log = recordingLogger();
    await using broker = brokerOn("deleted", { logger: log });
    const seen = await collect(broker, { queue: "q" });
    await broker.publish("topic", { ...textEvent, id: "before" });
    await expect.poll(() => seen).toEqual(["before"]);
    await tools.deleteQueue("deleted=q=topic");
    const found = () => log.lines.find(({ message }) => message.includes("is declared again"));
    await expect
      .poll(found)
      .toMatchObject({ level: "error", fields: { queue: "deleted=q=topic" } });
    // Events published before it exists again are lost, as for a group that is new.
    let count = 0;
    await expect
      .poll(async () => {
        await broker.publish("topic", { ...textEvent, id: `after-${count++}` });
        return seen.some((id) => id.startsWith("after"));
      })
      .toBe(true);
    expect(broker.state).toBe("healthy");
  });

  test("an exchange that is deleted is declared again by the next publication", async () => {
    await using broker = brokerOn("missing");
    await broker.publish("topic", textEvent);
    await tools.deleteExchange("missing");
    const publishing = Array.from({ length: 50 }, () => broker.publish("topic", textEvent));
    await Promise.all(publishing);
    await tools.checkExchange("missing");
  });

  test("an event that RabbitMQ takes for too large is refused, and others pass", async () => {
    await using broker = brokerOn("sizes", { maxEventBytes: 256 * 1024 * 1024 });
    // One channel closes for all of them.
    const large = new Uint8Array(129 * 1024 * 1024);
    const small = Array.from({ length: 20 }, () => broker.publish("topic", textEvent));
    const refused = await errorOf(broker.publish("topic", { ...textEvent, body: large }));
    expect(refused).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
    await Promise.all(small);
  });

  test("a queue with other properties is an error that names it", async () => {
    await tools.assertExchange("other", "topic");
    await tools.assertQueue("other=q=topic", { durable: true });
    await using broker = brokerOn("other");
    const refused = await errorOf(broker.subscribe("topic", () => {}, { queue: "q" }));
    expect(refused).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
    expect(refused.message).toContain("other=q=topic");
  });

  test("a lone subscription deletes its queue when it closes", async () => {
    await using broker = brokerOn("lone");
    const subscription = await broker.subscribe("topic", () => {});
    await subscription.close();
    const returned = once(tools, "return");
    tools.publish("lone", "topic.none", Buffer.from("v"), { mandatory: true });
    await returned;
  });

  test("a closing member of an ordered group finishes an event before others get the next", async () => {
    const options = { ordering: "key" };
    const leaving = brokerOn("drain", options);
    await using staying = brokerOn("drain", options);
    const order: string[] = [];
    let end = () => {};
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    const group = { queue: "q", maxInFlight: 8 };
    await leaving.subscribe(
      "topic",
      async ({ id }) => {
        order.push(`${id} begins`);
        await held;
        order.push(`${id} ends`);
      },
      group,
    );
    await staying.subscribe("topic", ({ id }) => void order.push(id), group);
    for (const id of ["1", "2", "3"])
      await staying.publish("topic", { ...textEvent, id, key: "k" });
    await expect.poll(() => order).toEqual(["1 begins"]);
    const closing = leaving.close();
    // The other member is idle, so it would have the next event at once.
    await staying.publish("topic", { ...textEvent, id: "other", key: undefined });
    await expect.poll(() => order).toContain("other");
    expect(order).not.toContain("2");
    end();
    await closing;
    await expect.poll(() => order.length).toBe(5);
    expect(order.filter((id) => id !== "other")).toEqual(["1 begins", "1 ends", "2", "3"]);
  });

  test("publications wait while memory is short, for their deadline, and acknowledgements pass", async () => {
    const log = recordingLogger();
    await using broker = brokerOn("alarm", { timeoutMs: 3_000, logger: log });
    await using patient = brokerOn("alarm", { timeoutMs: 60_000 });
    const seen = await collect(broker, { queue: "q" });
    for (const each of [broker, patient]) await each.publish("topic", { ...textEvent, id: "1" });
    await server.control("set_vm_memory_high_watermark", "absolute", "1MB");
    // The server blocks the connection when it publishes next, and does not confirm that.
    const unconfirmed: Promise<unknown>[] = [];
    const publish = () => broker.publish("topic", textEvent);
    await expect
      .poll(() => {
        unconfirmed.push(publish().catch((reason: unknown) => reason));
        return broker.state;
      })
      .toBe("degraded");
    expect(await unconfirmed.at(0)).toMatchObject({ code: "unavailable", outcome: "unknown" });
    const second = await errorOf(publish());
    expect(second).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(second.message).toMatch(/takes no publications.*memory/);
    const waiting = patient.publish("topic", { ...textEvent, id: "waited" });
    await server.control("set_vm_memory_high_watermark", "0.8");
    await waiting;
    await expect.poll(() => broker.state).toBe("healthy");
    await expect.poll(() => seen).toContain("waited");
  });

  test("subscriptions and publications are back after the server was killed", async () => {
    await using broker = brokerOn("killed");
    const group = await collect(broker, { queue: "q" });
    const alone = await collect(broker, {});
    await broker.publish("topic", { ...textEvent, id: "before" });
    await expect.poll(() => [...group, ...alone]).toEqual(["before", "before"]);
    await server.stop("SIGKILL");
    await expect.poll(() => broker.state).toBe("lost");
    const failed = await errorOf(broker.publish("topic", textEvent));
    expect(failed).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    await server.start();
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("topic", { ...textEvent, id: "after" });
    await expect.poll(() => group).toContain("after");
    await expect.poll(() => alone).toContain("after");
    await openTools();
  });
});
