import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Broker,
  type HttpBrokerOptions,
  httpBroker,
  type IncomingEvent,
  type Logger,
  MemoryRegistryNetwork,
  memoryRegistry,
  silentLogger,
} from "@micro-es/runtime";
import type { EventKeySource } from "@micro-es/runtime/auth";
import {
  type EventKey,
  type EventSigner,
  type EventsOptions,
  publishedEventKeys,
  signedBroker,
  staticRules,
} from "@micro-es/runtime/auth";
import { afterEach, describe, expect, test } from "vitest";
import { errorOf } from "../../../../test/support/server.ts";
import type { HttpBroker } from "../http/broker.ts";
import { signatureKey } from "./event-signature.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const pairs = { order: generateKeyPairSync("ed25519"), other: generateKeyPairSync("ed25519") };
const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
const signer = (name: keyof typeof pairs): EventSigner => ({
  ...{ issuer: "acme", account: `service:${name}`, keyId: `${name}-1` },
  key: pem(pairs[name].privateKey),
});
const keyOf = (name: keyof typeof pairs): EventKey => ({
  ...{ issuer: "acme", account: `service:${name}`, keyId: `${name}-1` },
  key: pairs[name].publicKey,
});
const keys = [keyOf("order")];
const event = (text: string, more: object = {}) => ({
  ...{ body: Buffer.from(text), contentType: "text/plain", typeName: "", ...more },
});

/** Brokers that reach each other, and the lines that they log. */
function fleet(native: boolean) {
  const network = new MemoryRegistryNetwork();
  const lines: string[] = [];
  const write = (fields: object, message: string) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { debug: () => {}, info: () => {}, warn: write, error: write };
  const registry = () => {
    const made = memoryRegistry({ network });
    open.push(made);
    return made;
  };
  const broker = (options: Partial<HttpBrokerOptions> = {}): HttpBroker => {
    const made = httpBroker({ registry: registry(), logger, native, ...options });
    open.push(made);
    return made;
  };
  return { broker, registry, lines };
}

/** Subscribes with verification; collects what handlers get. */
async function subscribe(
  broker: HttpBroker,
  options: EventsOptions,
  more: Parameters<Broker["subscribe"]>[2] = {},
  rules?: Parameters<typeof signedBroker>[2],
) {
  const handled: string[] = [];
  const signed = signedBroker(broker, options, rules);
  const subscription = await signed.subscribe(
    "orders",
    ({ account, body }: IncomingEvent) => {
      handled.push(`${account?.id} ${Buffer.from(body)}`);
    },
    more,
  );
  return { handled, subscription };
}

const untouched = { delivered: 0, failed: 0, rejected: 0, dropped: 0, inFlight: 0, pending: 0 };

describe.each([
  ["natively", true],
  ["by one request for each event", false],
])("events that arrive %s", (_, native) => {
  test("are refused at the port unless their publisher has signed them", async () => {
    const { broker, lines } = fleet(native);
    const to = broker();
    const { handled, subscription } = await subscribe(to, { verify: "required", keys });
    const seen: IncomingEvent[] = [];
    await to.subscribe("refunds", (each) => void seen.push(each));
    const from = broker();
    const order = signedBroker(from, { sign: signer("order") });
    await order.publish("refunds", event("refund", { id: "r1" }));
    await expect.poll(() => seen).toHaveLength(1);
    const copied = { [signatureKey]: seen[0]?.metadata.get(signatureKey) ?? "" };
    const asOrder = { ...signer("other"), account: "service:order", keyId: "order-1" };
    const ofPartner = { ...signer("order"), issuer: "partner" };
    const attacks: (() => Promise<void>)[] = [
      () => from.publish("orders", event("unsigned")),
      () => from.publish("orders", event("refund", { id: "r1", metadata: copied })),
      () => from.publish("orders", event("x", { metadata: { [signatureKey]: "a.b.c" } })),
      () => signedBroker(from, { sign: signer("other") }).publish("orders", event("x")),
      () => signedBroker(from, { sign: asOrder }).publish("orders", event("x")),
      () => signedBroker(from, { sign: ofPartner }).publish("orders", event("x")),
    ];
    for (const attack of attacks) await attack();
    await expect.poll(() => to.stats.refused).toBe(attacks.length);
    expect(from.stats.undelivered).toBe(attacks.length);
    // Nothing of them took up room, was redelivered or became a dead letter.
    expect(subscription.stats).toEqual(untouched);
    expect(lines.join("\n")).toMatch(/an event was not admitted .*it is not signed/);
    expect(lines.join("\n")).toMatch(/its key is not known/);

    await order.publish("orders", event("good"));
    await expect.poll(() => handled).toEqual(["service:order good"]);
  });

  test("are refused to the publisher by each member of a group", async () => {
    const { broker } = fleet(native);
    const { handled } = await subscribe(broker(), { verify: "required", keys }, { queue: "q" });
    const from = broker();
    const error = await errorOf(from.publish("orders", event("unsigned")));
    expect(error).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(error.message).toMatch(/valid signature|not signed as it requires/);
    await signedBroker(from, { sign: signer("order") }).publish("orders", event("good"));
    await expect.poll(() => handled).toEqual(["service:order good"]);
  });

  test("cannot crowd out those that are signed", async () => {
    const { broker } = fleet(native);
    const { handled, subscription } = await subscribe(
      broker(),
      { verify: "required", keys },
      { maxPending: 2 },
    );
    const from = broker();
    const junk = Array.from({ length: 500 }, () => from.publish("orders", event("junk")));
    await Promise.all(junk);
    await signedBroker(broker(), { sign: signer("order") }).publish("orders", event("good"));
    await expect.poll(() => handled).toEqual(["service:order good"]);
    await expect.poll(() => subscription.stats).toEqual({ ...untouched, delivered: 1 });
  });

  test("may be unsigned where a signature is optional, and not signed wrongly", async () => {
    const { broker } = fleet(native);
    const to = broker();
    const { handled } = await subscribe(to, { verify: "optional", keys });
    const from = broker();
    await signedBroker(from, { sign: signer("other") }).publish("orders", event("bad"));
    await from.publish("orders", event("plain"));
    await expect.poll(() => handled).toEqual(["undefined plain"]);
    expect(to.stats.refused).toBe(1);
  });

  test("are refused where a rule denies the topic to their publisher", async () => {
    const { broker, lines } = fleet(native);
    const rules = staticRules([
      {
        ...{ id: "no-orders", access: "denied", priority: 1 },
        ...{ resource: { type: "topic", name: "orders" }, subject: { account: "service:order" } },
      },
    ]);
    const to = broker();
    const both = [keyOf("order"), keyOf("other")];
    const { handled } = await subscribe(to, { verify: "required", keys: both }, {}, rules);
    const from = broker();
    await signedBroker(from, { sign: signer("order") }).publish("orders", event("denied"));
    await signedBroker(from, { sign: signer("other") }).publish("orders", event("good"));
    await expect.poll(() => handled).toEqual(["service:other good"]);
    expect(to.stats.refused).toBe(1);
    expect(lines.join("\n")).toMatch(/the rule no-orders denies the topic to service:order/);
  });

  test("wait for a key that is being read, and are verified once", async () => {
    const { broker } = fleet(native);
    let reads = 0;
    let isKnown = false;
    const keySource: EventKeySource = {
      async key(_issuer, account) {
        reads++;
        if (!isKnown) throw Object.assign(new Error("down"), { code: "unavailable" });
        return account === "service:order" ? keyOf("order") : undefined;
      },
    };
    const to = broker();
    const { handled } = await subscribe(to, { verify: "required", keySource }, { queue: "q" });
    const order = signedBroker(broker(), { sign: signer("order") });
    expect(await errorOf(order.publish("orders", event("early")))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    isKnown = true;
    reads = 0;
    await Promise.all([1, 2, 3].map((n) => order.publish("orders", event(`${n}`))));
    await expect
      .poll(() => [...handled].sort())
      .toEqual([1, 2, 3].map((n) => `service:order ${n}`));
    expect(reads).toBe(3);
  });
});

test("a sender learns no reason, and is not checked any more after many refused events", async () => {
  const { broker, registry } = fleet(false);
  const to = broker({ logger: silentLogger });
  let checks = 0;
  const keySource: EventKeySource = {
    key() {
      checks++;
      return undefined;
    },
  };
  await subscribe(to, { verify: "required", keySource });
  const [node] = await registry().get("micro.http.broker");
  const { Agent, request } = await import("node:http");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  open.push({ close: () => agent.destroy() });
  const order = signedBroker(broker(), { sign: signer("order") });
  const signed: IncomingEvent[] = [];
  await to.subscribe("refunds", (each) => void signed.push(each));
  await order.publish("refunds", event("refund"));
  await expect.poll(() => signed).toHaveLength(1);
  const post = (signature: string | undefined) =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const [host, port] = (to.address ?? "").split(":");
      const headers = { "content-type": "application/json" };
      const options = { host, port, agent, method: "POST", path: `/?id=${node?.id}`, headers };
      const sent = request(options, async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode, text });
      });
      sent.on("error", reject);
      const micro = { "Micro-Topic": "orders", ...(signature && { "Micro-Signature": signature }) };
      sent.end(JSON.stringify({ Header: micro, Body: "eA==" }));
    });
  const signature = signed[0]?.metadata.get(signatureKey)?.toString();
  const first = await post(undefined);
  expect(first.status).toBe(401);
  expect(JSON.parse(first.text).detail).toBe("the event needs a valid signature");
  const statuses: (number | undefined)[] = [];
  for (let count = 0; count < 300; count++) statuses.push((await post(signature)).status);
  expect(new Set(statuses)).toEqual(new Set([401, 429]));
  expect(checks).toBeLessThan(200);
});

test("the keys of several publishers change, each in a key set of its own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "micro-event-keys-"));
  open.push({ close: () => rm(folder, { recursive: true }) });
  const publish = (name: string, ...pair: [id: string, key: KeyObject][]) =>
    writeFile(
      join(folder, name),
      JSON.stringify({
        keys: pair.map(([kid, key]) => ({ ...key.export({ format: "jwk" }), kid, use: "sig" })),
      }),
    );
  await publish("order.json", ["order-1", pairs.order.publicKey]);
  await publish("mail.json", ["mail-1", pairs.other.publicKey]);
  const publisher = (name: string) => ({
    ...{ issuer: "acme", account: `service:${name}`, jwks: join(folder, `${name}.json`) },
    scopes: [`${name}.publish`],
  });
  const keySource = publishedEventKeys({
    ...{ publishers: [publisher("order"), publisher("mail")], refreshMs: 1_000 },
    logger: silentLogger,
  });
  open.push(keySource);
  const { broker } = fleet(true);
  const { handled } = await subscribe(broker(), { verify: "required", keySource });
  const sign = (account: string, keyId: string, key: KeyObject) =>
    signedBroker(broker(), {
      sign: { issuer: "acme", account: `service:${account}`, keyId, key },
    });
  await sign("order", "order-1", pairs.order.privateKey).publish("orders", event("a"));
  const mail = sign("mail", "mail-1", pairs.other.privateKey);
  await mail.publish("orders", event("b"));
  // A key signs for its own account only.
  await sign("mail", "order-1", pairs.order.privateKey).publish("orders", event("forged"));
  await sign("order", "mail-1", pairs.other.privateKey).publish("orders", event("forged"));
  await expect.poll(() => [...handled].sort()).toEqual(["service:mail b", "service:order a"]);

  const next = generateKeyPairSync("ed25519");
  await publish("order.json", ["order-2", next.publicKey]);
  const renewed = sign("order", "order-2", next.privateKey);
  const old = sign("order", "order-1", pairs.order.privateKey);
  let count = 0;
  await expect
    .poll(
      async () => {
        await renewed.publish("orders", event(`next ${count++}`));
        return handled.some((each) => each.startsWith("service:order next"));
      },
      { timeout: 10_000, interval: 200 },
    )
    .toBe(true);
  const before = handled.length;
  await old.publish("orders", event("old"));
  await mail.publish("orders", event("still valid"));
  await expect.poll(() => handled.length).toBe(before + 1);
  expect(handled.at(-1)).toBe("service:mail still valid");

  expect(() => publishedEventKeys({ publishers: [publisher("a"), publisher("a")] })).toThrow(
    /two key sets of service:a/,
  );
  expect(() =>
    publishedEventKeys({ publishers: [{ ...publisher("a"), jwks: "http://acme.example/keys" }] }),
  ).toThrow(/publishedEventKeys: jwks/);
});
