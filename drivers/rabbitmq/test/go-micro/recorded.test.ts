import { readFileSync } from "node:fs";
import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { type IncomingEvent, silentLogger as logger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMqServer, skipWithoutRabbitMq, startRabbitMq } from "../server.ts";
import { ReplayedSession, type Turn } from "./frames.ts";
import { publishOurs, topic } from "./our-event.ts";

/** What record.ts wrote: what the program said, and what the other side received. */
interface Recorded {
  readonly publisher: {
    readonly said: readonly Turn[];
    readonly received: { readonly body: string };
  };
  readonly subscriber: {
    readonly said: readonly Turn[];
    readonly received: { readonly body: string; readonly header: Record<string, string> };
  };
}

const file = new URL("recorded.json", import.meta.url);
const recorded = JSON.parse(readFileSync(file, "utf8")) as Recorded;

describe.skipIf(skipWithoutRabbitMq)("go-micro's broker on RabbitMQ, as recorded", () => {
  let server: RabbitMqServer;
  beforeAll(async () => {
    server = await startRabbitMq();
  });
  afterAll(() => server?.close());

  const brokerInGoFormat = () =>
    rabbitmqBroker({ servers: server.address, format: "go-micro", logger });

  test("an event of a publisher in Go arrives here", async () => {
    await using broker = brokerInGoFormat();
    const seen: IncomingEvent[] = [];
    await broker.subscribe(topic, (event) => void seen.push(event), { queue: "stats" });
    const { said, received } = recorded.publisher;
    await using _ = await ReplayedSession.start(server.port, said);
    await expect.poll(() => seen.length).toBe(1);
    const [{ id, body, contentType, metadata }] = seen as [IncomingEvent];
    const text = Buffer.from(body).toString();
    expect({ id, body: text, contentType, metadata: [...metadata] }).toEqual(received);
    expect(received.body).toBe('{"name":"Ada"}');
  });

  test("a subscriber in Go gets the event as it did", async () => {
    await using broker = brokerInGoFormat();
    const { said, received } = recorded.subscriber;
    await using session = await ReplayedSession.start(server.port, said);
    const before = session.payloads.length;
    await publishOurs(broker);
    // The method, the properties and the body.
    await expect.poll(() => session.payloads.length).toBe(before + 3);
    const [method, properties, body] = session.payloads.slice(before);
    expect(method?.toString("latin1")).toContain(topic);
    expect(body?.toString()).toBe(received.body);
    for (const [name, value] of Object.entries(received.header)) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      const field = `${String.fromCharCode(name.length)}${name}S${length.toString("latin1")}${value}`;
      expect(properties?.toString("latin1")).toContain(field);
    }
  });

  test("members in Go and here share the events of a queue", async () => {
    await using broker = brokerInGoFormat();
    await using session = await ReplayedSession.start(server.port, recorded.subscriber.said);
    const before = session.payloads.length;
    const seen: string[] = [];
    await broker.subscribe(topic, ({ id }) => void seen.push(id), { queue: "stats" });
    await using publisher = brokerInGoFormat();
    for (let count = 0; count < 10; count++) await publishOurs(publisher);
    const delivered = () => (session.payloads.length - before) / 3;
    await expect.poll(() => seen.length + delivered()).toBe(10);
    expect(seen.length).toBeGreaterThan(0);
    expect(delivered()).toBeGreaterThan(0);
  });
});
