import { generateKeyPairSync } from "node:crypto";
import { brokerContract, type CreateBrokers } from "@micro-es/contract/broker";
import { jetstreamBroker, natsBroker } from "@micro-es/nats";
import { type Broker, type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { signedBroker } from "@micro-es/runtime/auth";
import { connect } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutNats)("brokers on NATS", () => {
  let server: NatsServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const several = (
    count: number,
    join: (options?: { readonly closeGraceMs: number }) => Broker,
  ) => ({ brokers: Array.from({ length: count }, () => join()), join });
  const create: Record<string, CreateBrokers> = {
    "core NATS": async (count) =>
      several(count, (more) => natsBroker({ servers: server.url, logger, ...more })),
    "core NATS in go-micro's format": async (count) =>
      several(count, (more) => {
        const options = { servers: server.url, maxEventBytes: 700_000, logger, ...more };
        return natsBroker({ ...options, format: "go-micro" });
      }),
    JetStream: async (count) => {
      const stream = `S${fleets++}`;
      const prefix = `p${stream}`;
      const options = { servers: server.url, stream, prefix, logger };
      return several(count, (more) => jetstreamBroker({ ...options, ...more }));
    },
  };
  test.each(Object.entries(create))("signed events show their publisher: %s", async (_, make) => {
    const { brokers } = await make(2);
    const [from, to] = brokers as [Broker, Broker];
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const order = { issuer: "acme", account: "service:order", keyId: "order-1" };
    const sign = { ...order, key: privateKey };
    const keys = [{ ...order, key: publicKey }];
    const seen: (string | undefined)[] = [];
    await signedBroker(to, { verify: "required", keys }, undefined).subscribe(
      "signed",
      (event) => void seen.push(`${event.account?.id} ${event.key}`),
      { maxDeliveries: 1 },
    );
    await from.publish("signed", textEvent);
    const publisher = signedBroker(from, { sign }, undefined);
    await publisher.publish("signed", { ...textEvent, key: "7", metadata: { tenant: "a" } });
    await expect.poll(() => seen).toEqual(["service:order 7"]);
    for (const broker of brokers) await broker.close();
  });

  test("JetStream holds a limited amount of events that are not awaited", async () => {
    await using broker = jetstreamBroker({
      servers: server.url,
      stream: "flood",
      prefix: "flood",
      storage: "memory",
      timeoutMs: 60_000,
      logger,
    });
    const event = { ...textEvent, body: new Uint8Array(900_000) };
    await broker.publish("floods", event);
    const aborted = new AbortController();
    const results = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) =>
        broker.publish("floods", event, index % 2 === 0 ? {} : { signal: aborted.signal }),
      ),
    );
    const refused = results.filter((it) => it.status === "rejected");
    // 64 MiB hold 74 events.
    expect(refused).toHaveLength(126);
    expect(results.findIndex((it) => it.status === "rejected")).toBe(74);
    for (const { reason } of refused) {
      expect(reason).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
      expect(reason.message).toContain("await publications before publishing more");
    }
    // Stored events make room.
    await broker.publish("floods", event);
  });

  test("takes the events of a Go service, and sends JSON that Go accepts", async () => {
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

  test("events requested ahead of prompt handlers go to others once these hang", async () => {
    const options = { servers: server.url, stream: "ahead", prefix: "ahead", logger };
    await using hanging = jetstreamBroker({ ...options, closeGraceMs: 0 });
    await using other = jetstreamBroker(options);
    const publish = (count: number) =>
      Promise.all(Array.from({ length: count }, () => other.publish("topic", textEvent)));
    let prompt = 0;
    let begun = 0;
    let hangs = false;
    const handler = () => {
      if (!hangs) return void prompt++;
      begun++;
      return new Promise<void>(() => {});
    };
    await hanging.subscribe("topic", handler, { queue: "q" });
    await publish(500);
    await expect.poll(() => prompt).toBe(500);
    hangs = true;
    await publish(300);
    await expect.poll(() => begun).toBe(64);
    let handled = 0;
    await other.subscribe("topic", () => void handled++, { queue: "q" });
    // Long before the server would deliver again events without an acknowledgement.
    await expect.poll(() => handled, { timeout: 15_000 }).toBe(300 - 64);
  });

  test("an event that is published again under its id is kept once", async () => {
    const options = { servers: server.url, stream: "once", prefix: "once", logger };
    await using broker = jetstreamBroker(options);
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    for (const id of ["a", "a", "b", "a"]) await broker.publish("topic", { ...textEvent, id });
    await expect.poll(() => seen.includes("b")).toBe(true);
    expect(seen.sort()).toEqual(["a", "b"]);
  });

  test("a group resumes where it stopped, with the events published in the meantime", async () => {
    const options = { servers: server.url, stream: "later", prefix: "later", logger };
    const first = jetstreamBroker(options);
    await first.subscribe("topic", () => {}, { queue: "q" });
    await first.close();
    await using second = jetstreamBroker(options);
    await second.publish("topic", { ...textEvent, id: "meanwhile" });
    const seen: string[] = [];
    await second.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await expect.poll(() => seen).toEqual(["meanwhile"]);
  });

  test("a subscription begins with the event of a sequence number", async () => {
    const options = { servers: server.url, stream: "numbered", prefix: "numbered", logger };
    await using broker = jetstreamBroker(options);
    for (const id of ["a", "b", "c"]) await broker.publish("topic", { ...textEvent, id });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { from: 2n });
    await expect.poll(() => seen).toEqual(["b", "c"]);
  });

  test("an event whose handler closes the broker and waits for it is acknowledged", async () => {
    const options = { servers: server.url, stream: "closes", prefix: "closes", logger };
    const broker = jetstreamBroker(options);
    let isHandled = false;
    const handler = async () => {
      await broker.close();
      isHandled = true;
    };
    await broker.subscribe("topic", handler, { queue: "q" });
    await broker.publish("topic", { ...textEvent, id: "last" });
    await expect.poll(() => isHandled).toBe(true);
    await broker.close();
    const plain = await connect({ servers: server.url });
    const manager = await plain.jetstreamManager();
    const { value: consumer } = await manager.consumers
      .list("closes")
      [Symbol.asyncIterator]()
      .next();
    expect(consumer).toMatchObject({ num_ack_pending: 0, ack_floor: { stream_seq: 1 } });
    await plain.close();
  });

  test("a publication without permission fails as such, alone or among others", async () => {
    const user = `{ user: "u", password: "p", permissions: { publish: { deny: "denied.*.>" } } }`;
    await using own = await startNats({ config: `authorization { users: [ ${user} ] }` });
    const options = { servers: own.url, user: "u", password: "p", prefix: "denied", logger };
    await using broker = jetstreamBroker({ ...options, timeoutMs: 60_000 });
    // The stream is there when it was subscribed to.
    await broker.subscribe("topic", () => {});
    const publications = Array.from({ length: 3 }, (_, index) =>
      broker.publish("topic", { ...textEvent, id: `${index}` }).catch((reason) => reason),
    );
    const failures = await Promise.all([
      ...publications,
      broker.publish("topic", { ...textEvent, id: "late" }).catch((reason) => reason),
    ]);
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: "permission_denied", outcome: "not-executed" });
    }
  });

  test("publications on core NATS are sent before the broker has closed", async () => {
    await using hearing = natsBroker({ servers: server.url, logger });
    const seen: string[] = [];
    await hearing.subscribe("last.words", ({ id }) => void seen.push(id), { maxPending: 2_000 });
    const speaking = natsBroker({ servers: server.url, logger });
    const said = Array.from({ length: 1_000 }, (_, index) => `${index}`);
    await Promise.all(said.map((id) => speaking.publish("last.words", { ...textEvent, id })));
    await speaking.close();
    await expect.poll(() => seen.length).toBe(said.length);
    expect(seen).toEqual(said);
  });

  /** Many consumers make it slow, so only what differs is looked at. */
  describe("JetStream in the order of keys", () => {
    const differs =
      /order of a key|member of each queue group|takes poison out|leaves its group|carries an event whole|replays|of one key|members of a group|only member/;
    const brokers: CreateBrokers = async (count) => {
      const stream = `S${fleets++}`;
      const prefix = `p${stream}`;
      const options = { servers: server.url, stream, prefix, logger };
      return several(count, (more) => jetstreamBroker({ ...options, ...more, ordering: "key" }));
    };
    for (const { name, run } of brokerContract(brokers)) {
      if (differs.test(name)) test(name, run);
    }
  });
  describe.each(Object.entries(create))("%s", (_name, brokers) => {
    for (const { name, run } of brokerContract(brokers)) test(name, run);
  });
});
