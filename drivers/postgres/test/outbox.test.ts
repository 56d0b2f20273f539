import { type Outbox, postgresOutbox } from "@micro-es/postgres";
import { type EventPublisher, MicroError, memoryBroker, silentLogger } from "@micro-es/runtime";
import type { OutgoingEvent } from "@micro-es/runtime/driver";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type PostgresServer, skipWithoutPostgres, startPostgres } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutPostgres)("the outbox in PostgreSQL", () => {
  let server: PostgresServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  const connect = async () => {
    const { user, database } = server.options;
    const client = new pg.Client({ host: "127.0.0.1", port: server.port, user, database });
    client.on("error", () => {});
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  };
  const open = async (
    given: { readonly maxEventBytes?: number; readonly notify?: boolean } = {},
  ) => {
    const schema = `fleet_${fleets++}`;
    const outbox = postgresOutbox({ ...server.options, schema, ...given });
    onTestFinished(() => outbox.close());
    await outbox.open();
    return { outbox, schema };
  };
  const publish = (outbox: Outbox, client: pg.Client, text: string, key?: string) =>
    outbox.within(client).publish("orders", eventOf(text, key));
  const isEmpty = async (outbox: Outbox) => (await outbox.status()).waiting === 0;

  test("publishes what is committed, and nothing that is rolled back", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    const relay = outbox.relay({ broker, logger });
    const client = await connect();
    await client.query("create table if not exists things (name text)");
    for (const [text, end] of [
      ["first", "commit"],
      ["never", "rollback"],
      ["second", "commit"],
    ] as const) {
      await client.query("begin");
      await client.query("insert into things values ($1)", [text]);
      await publish(outbox, client, text, "key");
      await client.query(end);
    }
    await expect.poll(() => broker.texts).toEqual(["first", "second"]);
    await expect.poll(() => isEmpty(outbox)).toBe(true);
    await expect.poll(() => relay.stats).toEqual({ published: 2, failed: 0, parked: 0 });
    expect(relay.state).toBe("active");
    expect(broker.events[0]).toMatchObject({
      contentType: "text/plain",
      typeName: "shop.Order",
      key: "key",
      id: expect.stringMatching(/./),
    });
    expect(broker.events[0]?.metadata).toBeDefined();
  });

  test("keeps the order of a key when transactions overlap", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    outbox.relay({ broker, logger });
    const [one, two] = [await connect(), await connect()];
    await one.query("begin");
    await publish(outbox, one, "1", "a");
    await two.query("begin");
    const second = publish(outbox, two, "2", "a");
    // Events of other keys, and without one, pass by.
    await publish(outbox, await connect(), "b", "b");
    await publish(outbox, await connect(), "none");
    await expect.poll(() => [...broker.texts].sort()).toEqual(["b", "none"]);
    await one.query("commit");
    await second;
    await two.query("commit");
    await expect.poll(() => broker.texts.slice(2)).toEqual(["1", "2"]);
  });

  test("holds back a key whose event failed, and goes on with others", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    let refusals = 3;
    broker.refuses = (text) => {
      if (text === "a1" && refusals-- > 0) return new MicroError("internal", "not now");
      return undefined;
    };
    const client = await connect();
    for (const text of ["a1", "a2", "a3"]) await publish(outbox, client, text, "a");
    for (const text of ["b1", "b2"]) await publish(outbox, client, text, "b");
    const relay = outbox.relay({ broker, logger });
    await expect.poll(() => broker.texts).toEqual(["b1", "b2", "a1", "a2", "a3"]);
    await expect.poll(() => relay.stats).toMatchObject({ failed: 3, parked: 0 });
  });

  test("parks an event that cannot be published, with a log line, until it is retried", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    let isPoison = true;
    broker.refuses = (text) =>
      isPoison && text === "bad" ? new MicroError("invalid_argument", "no such topic") : undefined;
    const lines: string[] = [];
    const line = (fields: object, text: string) => lines.push(`${text} ${JSON.stringify(fields)}`);
    const client = await connect();
    for (const text of ["bad", "good"]) await publish(outbox, client, text, "a");
    const relay = outbox.relay({ broker, logger: { ...logger, error: line } });
    await expect.poll(() => broker.texts).toEqual(["good"]);
    await expect.poll(() => relay.stats.parked).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/is parked: it cannot be published .*"orders"/)]);
    const [parked] = await outbox.parked();
    expect(parked).toMatchObject({
      topic: "orders",
      key: "a",
      error: "no such topic",
      attempts: 1,
    });
    expect(await outbox.status()).toMatchObject({ waiting: 0, parked: 1 });
    isPoison = false;
    expect(await outbox.retry(parked?.row ?? 0n)).toBe(true);
    await expect.poll(() => broker.texts).toEqual(["good", "bad"]);
    expect(await outbox.drop(parked?.row ?? 0n)).toBe(false);
    expect(await outbox.parked()).toEqual([]);
  });

  test("parks what fails too often, and drops it on request", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    broker.refuses = () => new MicroError("internal", "never");
    await publish(outbox, await connect(), "bad");
    outbox.relay({ broker, logger, maxAttempts: 2 });
    await expect.poll(async () => (await outbox.status()).parked).toBe(1);
    const [parked] = await outbox.parked();
    expect(parked?.attempts).toBe(2);
    expect(await outbox.drop(parked?.row ?? 0n)).toBe(true);
    expect(await outbox.status()).toEqual({ waiting: 0, parked: 0, oldestMs: 0 });
  });

  test("waits for a broker that is away, and parks nothing", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    broker.refuses = () => new MicroError("unavailable", "away");
    const relay = outbox.relay({ broker, logger, maxAttempts: 1 });
    const client = await connect();
    await publish(outbox, client, "1", "a");
    await publish(outbox, client, "2", "a");
    await expect.poll(() => relay.state).toBe("failing");
    await expect.poll(() => relay.stats.failed).toBeGreaterThan(4);
    broker.refuses = () => undefined;
    await expect.poll(() => broker.texts, { timeout: 20_000 }).toEqual(["1", "2"]);
    await expect.poll(() => relay.state).toBe("active");
    expect(relay.stats.parked).toBe(0);
  });

  test("publishes an event again, with its id, when a relay dies before it was noted", async () => {
    const { outbox, schema } = await open();
    const broker = new Recorder();
    const client = await connect();
    await publish(outbox, client, "1", "a");
    await publish(outbox, client, "2", "a");
    broker.onPublish = async () => {
      broker.onPublish = undefined;
      await server.run(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where state = 'idle in transaction' and query like '%${schema}%'`,
      );
    };
    outbox.relay({ broker, logger });
    await expect.poll(() => isEmpty(outbox)).toBe(true);
    expect(broker.texts).toEqual(["1", "2", "1", "2"]);
    const ids = broker.events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
  });

  test("lets one of several relays publish, and another when it has closed", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    const relays = [1, 2, 3].map(() => outbox.relay({ broker, logger, batchSize: 5 }));
    const client = await connect();
    const texts = Array.from({ length: 100 }, (_, index) => `${index}`);
    for (const text of texts.slice(0, 50)) await publish(outbox, client, text, "key");
    await expect.poll(() => broker.texts).toEqual(texts.slice(0, 50));
    await relays[0]?.close();
    await relays[1]?.close();
    for (const text of texts.slice(50)) await publish(outbox, client, text, "key");
    await expect.poll(() => broker.texts).toEqual(texts);
  });

  test("closes after what is being published, which leaves the outbox", async () => {
    const { outbox } = await open();
    const broker = new Recorder();
    const client = await connect();
    for (const text of ["1", "2", "3"]) await publish(outbox, client, text, "a");
    const relay = outbox.relay({ broker, logger });
    let release = () => {};
    const begun = new Promise<void>((resolve) => {
      broker.onPublish = () => {
        resolve();
        return new Promise((done) => {
          release = done;
        });
      };
    });
    await begun;
    const closing = relay.close();
    release();
    await closing;
    expect(broker.texts).toEqual(["1"]);
    expect(await outbox.status()).toMatchObject({ waiting: 2 });
  });

  test("polls where NOTIFY is turned off, and takes any library's function", async () => {
    const { outbox } = await open({ notify: false });
    const broker = new Recorder();
    outbox.relay({ broker, logger });
    const client = await connect();
    const seen: string[] = [];
    const query = (text: string, values: (string | null)[]) => {
      seen.push(...(text.match(/\$\d+/g) ?? []));
      expect(values.every((value) => value === null || typeof value === "string")).toBe(true);
      return client.query(text, values);
    };
    const event = eventOf("any", undefined);
    await outbox.within(query).publish("orders", { ...event, metadata: { tenant: "acme" } });
    expect(seen).toEqual(["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8"]);
    await expect.poll(() => broker.texts).toEqual(["any"]);
  });

  test("delivers bytes, metadata and key to a subscriber as they were", async () => {
    const { outbox } = await open();
    await using broker = memoryBroker();
    const body = Uint8Array.from({ length: 256 }, (_, index) => index);
    const seen: unknown[] = [];
    await broker.subscribe("bytes", ({ id, body, key, metadata, typeName }) => {
      seen.push({ id, body: [...body], key, tenant: metadata.get("tenant"), typeName });
    });
    outbox.relay({ broker, logger });
    const client = await connect();
    const event = { ...eventOf("", "é \u{1F600}"), body, id: "id-1", metadata: { tenant: "acme" } };
    await outbox.within(client).publish("bytes", event);
    await expect
      .poll(() => seen)
      .toEqual([
        { id: "id-1", body: [...body], key: "é \u{1F600}", tenant: "acme", typeName: "shop.Order" },
      ]);
  });

  test("refuses what it cannot hold, without an effect on the transaction", async () => {
    const { outbox } = await open({ maxEventBytes: 10 });
    const client = await connect();
    await client.query("begin");
    const publisher = outbox.within(client);
    const refused = async (topic: string, event: OutgoingEvent, code: string) =>
      expect(publisher.publish(topic, event)).rejects.toMatchObject({ code });
    await refused("orders", eventOf("x".repeat(11)), "resource_exhausted");
    await refused("no/topic", eventOf("x"), "invalid_argument");
    await refused("orders", eventOf("x", "a\0b"), "invalid_argument");
    await refused("orders", eventOf("x", "\ud800"), "invalid_argument");
    await publisher.publish("orders", eventOf("x"));
    await client.query("commit");
    expect(await outbox.status()).toMatchObject({ waiting: 1 });
  });

  test("says what to do where there is no outbox", async () => {
    const outbox = postgresOutbox({ ...server.options, schema: "nowhere" });
    onTestFinished(() => outbox.close());
    await expect(publish(outbox, await connect(), "x")).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("call outbox.open()"),
    });
    expect(() => outbox.relay({ broker: {} as EventPublisher })).toThrow(/broker/);
    await outbox.close();
    await expect(outbox.status()).rejects.toMatchObject({ code: "unavailable" });
  });

  test("closes at once while PostgreSQL is away", async () => {
    await using own = await startPostgres();
    await own.stop();
    const outbox = postgresOutbox(own.options);
    const relay = outbox.relay({ broker: new Recorder(), logger });
    await relay.close();
    await outbox.close();
  });
});

/** Accepts events, and keeps them. */
class Recorder implements EventPublisher {
  readonly events: OutgoingEvent[] = [];
  refuses: (text: string) => MicroError | undefined = () => undefined;
  onPublish: (() => Promise<void>) | undefined;

  get texts(): readonly string[] {
    return this.events.map(({ body }) => Buffer.from(body).toString());
  }

  async publish(_topic: string, event: OutgoingEvent): Promise<void> {
    const refusal = this.refuses(Buffer.from(event.body).toString());
    if (refusal !== undefined) throw refusal;
    this.events.push(event);
    await this.onPublish?.();
  }
}

function eventOf(text: string, key?: string): OutgoingEvent {
  return { body: Buffer.from(text), contentType: "text/plain", typeName: "shop.Order", key };
}
