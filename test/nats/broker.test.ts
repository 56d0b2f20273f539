import { type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { jetstreamBroker } from "@micro-es/runtime/broker/jetstream";
import { natsBroker } from "@micro-es/runtime/broker/nats";
import { connect } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brokerContract, type CreateBrokers } from "../contract/broker.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutNats)("brokers on NATS", () => {
  let server: NatsServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const several = (count: number, create: () => ReturnType<typeof natsBroker>) => ({
    brokers: Array.from({ length: count }, create),
  });
  const create: Record<string, CreateBrokers> = {
    "core NATS": async (count) => several(count, () => natsBroker({ servers: server.url, logger })),
    "core NATS in go-micro's format": async (count) =>
      several(count, () =>
        natsBroker({ servers: server.url, format: "go-micro", logger, maxEventBytes: 700_000 }),
      ),
    JetStream: async (count) => {
      const stream = `S${fleets++}`;
      const prefix = `p${stream}`;
      return several(count, () => jetstreamBroker({ servers: server.url, stream, prefix, logger }));
    },
  };
  test("events of a Go service are taken, and ours are JSON that Go takes", async () => {
    const go = await connect({ servers: server.url });
    await using broker = natsBroker({ servers: server.url, format: "go-micro", logger });
    const seen: IncomingEvent[] = [];
    await broker.subscribe("orders", (event) => void seen.push(event));
    const header = { "Content-Type": "application/json", "Micro-Id": "go-1", Tenant: "acme" };
    const body = Buffer.from('{"id":1}').toString("base64");
    go.publish("orders", JSON.stringify({ Header: header, Body: body }));
    go.publish("orders", "neither of the two");
    await expect.poll(() => seen.length).toBe(2);
    expect(seen[0]).toMatchObject({ id: "go-1", topic: "orders", contentType: "application/json" });
    expect(Buffer.from(seen[0]?.body ?? []).toString()).toBe('{"id":1}');
    expect(seen[0]?.metadata.toObject()).toEqual({ tenant: "acme" });
    expect(Buffer.from(seen[1]?.body ?? []).toString()).toBe("neither of the two");
    const heard = go.subscribe("replies", { max: 1 });
    await go.flush();
    const event = {
      body: Buffer.from("hi"),
      contentType: "text/plain",
      typeName: "acme.Text",
      id: "x",
    };
    await broker.publish("replies", event);
    for await (const message of heard) {
      expect(message.json()).toEqual({
        Header: {
          "Content-Type": "text/plain",
          "Micro-Topic": "replies",
          "Micro-ID": "x",
          "Micro-Type": "acme.Text",
        },
        Body: Buffer.from("hi").toString("base64"),
      });
    }
    await go.close();
  });

  test("an event that is published again under its id is kept once", async () => {
    const options = { servers: server.url, stream: "once", prefix: "once", logger };
    await using broker = jetstreamBroker(options);
    const seen: string[] = [];
    const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    for (const id of ["a", "a", "b", "a"]) await broker.publish("topic", { ...event, id });
    await expect.poll(() => seen.includes("b")).toBe(true);
    expect(seen.sort()).toEqual(["a", "b"]);
  });

  test("a group goes on where it stopped, with what came while nobody was there", async () => {
    const options = { servers: server.url, stream: "later", prefix: "later", logger };
    const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
    const first = jetstreamBroker(options);
    await first.subscribe("topic", () => {}, { queue: "q" });
    await first.close();
    await using second = jetstreamBroker(options);
    await second.publish("topic", { ...event, id: "meanwhile" });
    const seen: string[] = [];
    await second.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await expect.poll(() => seen).toEqual(["meanwhile"]);
  });

  /** Many consumers make it slow, so only what differs is looked at. */
  describe("JetStream in the order of keys", () => {
    const differs =
      /order of a key|member of each queue group|takes poison out|leaves its group|carries an event whole|replays/;
    const brokers: CreateBrokers = async (count) => {
      const stream = `S${fleets++}`;
      const prefix = `p${stream}`;
      return several(count, () =>
        jetstreamBroker({ servers: server.url, stream, prefix, ordering: "key", logger }),
      );
    };
    for (const { name, run } of brokerContract(brokers)) {
      if (differs.test(name)) test(name, run);
    }
  });
  describe.each(Object.entries(create))("%s", (_name, brokers) => {
    for (const { name, run } of brokerContract(brokers)) test(name, run);
  });
});
