import { generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  type Account,
  type Broker,
  createService,
  EventRejected,
  httpBroker,
  type IncomingEvent,
  MemoryBrokerNetwork,
  MemoryRegistryNetwork,
  Metadata,
  memoryBroker,
  memoryRegistry,
  silentLogger,
} from "@micro-es/runtime";
import {
  type EventSigner,
  type EventsOptions,
  signedBroker,
  staticRules,
} from "@micro-es/runtime/auth";
import { afterEach, describe, expect, test, vi } from "vitest";
import { TokenAuth } from "../../../../test/auth/token-auth.ts";
import { errorOf } from "../../../../test/support/server.ts";
import { signatureKey } from "./event-signature.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const it of open.splice(0).reverse()) await it.close();
});

const pairs = { order: generateKeyPairSync("ed25519"), other: generateKeyPairSync("ed25519") };
const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
const signer = (name: keyof typeof pairs): EventSigner => ({
  ...{ issuer: "acme", account: `service:${name}`, keyId: `${name}-1` },
  key: pem(pairs[name].privateKey),
});
const keys = [
  {
    ...{ issuer: "acme", account: "service:order", keyId: "order-1", scopes: ["stock.write"] },
    key: pairs.order.publicKey,
  },
];
const event = (text: string, more: object = {}) => ({
  ...{ body: Buffer.from(text), contentType: "text/plain", typeName: "", ...more },
});

/** Two brokers that reach each other. */
const networks: Record<string, () => [Broker, Broker]> = {
  memory() {
    const network = new MemoryBrokerNetwork();
    const make = () => memoryBroker({ network, logger: silentLogger });
    return [make(), make()];
  },
  HTTP() {
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    open.push(registry);
    const make = () => httpBroker({ registry, logger: silentLogger });
    return [make(), make()];
  },
  "HTTP, one request for each event"() {
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    open.push(registry);
    const make = () => httpBroker({ registry, logger: silentLogger, native: false });
    return [make(), make()];
  },
};

/** What a subscriber gets: the account and the text of each event, and what was rejected. */
async function subscriber(broker: Broker, options: EventsOptions, topic = "orders") {
  const handled: [account: string | undefined, text: string][] = [];
  const reasons: unknown[] = [];
  const observed: Broker = Object.create(broker, {
    subscribe: {
      value: (name: string, handler: (event: IncomingEvent) => void) =>
        broker.subscribe(name, (each) => {
          try {
            return handler(each);
          } catch (reason) {
            reasons.push(reason);
            throw reason;
          }
        }),
    },
  });
  await signedBroker(observed, options, undefined).subscribe(topic, (each) => {
    handled.push([each.account?.id, Buffer.from(each.body).toString()]);
  });
  return { handled, reasons };
}

describe.each(Object.entries(networks))("over %s", (_, network) => {
  function brokers(): [Broker, Broker] {
    const made = network();
    open.push(...made);
    return made;
  }

  test("an event shows who has published it", async () => {
    const [from, to] = brokers();
    const { handled } = await subscriber(to, { verify: "required", keys });
    const publisher = signedBroker(from, { sign: signer("order") }, undefined);
    await publisher.publish("orders", event("a", { key: "7", metadata: { tenant: "x" } }));
    await publisher.publish("orders", event("b"));
    await expect.poll(() => handled).toHaveLength(2);
    expect(new Map(handled.map(([account, text]) => [text, account]))).toEqual(
      new Map([
        ["a", "service:order"],
        ["b", "service:order"],
      ]),
    );
  });

  test("other events are rejected for good", async () => {
    const [from, to] = brokers();
    const { handled, reasons } = await subscriber(to, { verify: "required", keys });
    // An attacker copies valid events of another topic.
    const seen: IncomingEvent[] = [];
    await to.subscribe("refunds", (each) => void seen.push(each));
    const publisher = signedBroker(from, { sign: signer("order") }, undefined);
    await publisher.publish("refunds", event("refund", { key: "7", id: "r1" }));
    await expect.poll(() => seen).toHaveLength(1);
    const metadata = { [signatureKey]: seen[0]?.metadata.get(signatureKey) ?? "" };
    const onWrongTopic = event("refund", { key: "7", id: "r1", metadata });
    await from.publish("orders", onWrongTopic);
    await from.publish("orders", event("unsigned"));
    await signedBroker(from, { sign: signer("other") }, undefined).publish("orders", event("x"));
    const asOrder = { ...signer("other"), account: "service:order", keyId: "order-1" };
    await signedBroker(from, { sign: asOrder }, undefined).publish("orders", event("x"));
    const other = { ...signer("order"), account: "service:admin" };
    await signedBroker(from, { sign: other }, undefined).publish("orders", event("x"));
    await expect.poll(() => reasons).toHaveLength(5);
    expect(reasons.every((reason) => reason instanceof EventRejected)).toBe(true);
    expect(String(reasons)).toMatch(/is not signed/);
    expect(String(reasons)).toMatch(/key is not known/);
    expect(handled).toEqual([]);
  });

  test("an event carries no bearer token", async () => {
    const [from] = brokers();
    const metadata = { Authorization: "Bearer canary" };
    const error = await errorOf(from.publish("orders", event("a", { metadata })));
    expect(error).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    expect(error.message).toMatch(/every subscriber could use; sign events/);
    expect(error.message).not.toContain("canary");
  });
});

/** A broker that changes signed events before it delivers them. */
function tampering(change: (event: { [Name in keyof IncomingEvent]?: unknown }) => object) {
  const network = new MemoryBrokerNetwork();
  const from = memoryBroker({ network, logger: silentLogger });
  open.push(from);
  const reasons: unknown[] = [];
  const to: Broker = Object.create(from, {
    subscribe: {
      value: (topic: string, handler: (event: IncomingEvent) => void) =>
        from.subscribe(topic, ({ id, body, contentType, typeName, key, metadata }) => {
          const as = { id, topic, body, contentType, typeName, key, metadata };
          try {
            handler({ ...as, ...change(as) } as unknown as IncomingEvent);
            reasons.push("accepted");
          } catch (reason) {
            reasons.push(reason);
          }
        }),
    },
  });
  return { from: signedBroker(from, { sign: signer("order") }, undefined), to, reasons };
}

const lastCharacter = (text: string) => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return `${text.slice(0, -1)}${alphabet[alphabet.indexOf(text.at(-1) ?? "") ^ 1]}`;
};
const resigned = (metadata: unknown, change: (signature: string) => string) => ({
  metadata: new Metadata(metadata as Metadata).set(
    signatureKey,
    change((metadata as Metadata).get(signatureKey) ?? ""),
  ),
});

test.each<[string, Parameters<typeof tampering>[0]]>([
  ["its body", () => ({ body: Buffer.from("b") })],
  ["its content type", () => ({ contentType: "application/json" })],
  ["its type", () => ({ typeName: "acme.Other" })],
  ["its key", () => ({ key: "8" })],
  ["the absence of its key", () => ({ key: undefined })],
  ["its id", () => ({ id: "2" })],
  ["the last character of its signature", ({ metadata }) => resigned(metadata, lastCharacter)],
  ["the padding of its signature", ({ metadata }) => resigned(metadata, (text) => `${text}=`)],
  ["its algorithm", ({ metadata }) => resigned(metadata, (text) => text.replace(/^[^.]+/, none))],
  ["its end", ({ metadata }) => resigned(metadata, (text) => text.slice(0, -20))],
  [
    "the number of its signatures",
    ({ metadata }) => ({ metadata: new Metadata(metadata as Metadata).append(signatureKey, "x") }),
  ],
])("an event is rejected when another changes %s", async (_, change) => {
  const { from, to, reasons } = tampering(change);
  await signedBroker(to, { verify: "optional", keys }, undefined).subscribe("orders", () => {});
  await from.publish("orders", event("a", { key: "7", id: "1" }));
  await expect.poll(() => reasons).toHaveLength(1);
  expect(reasons[0]).toBeInstanceOf(EventRejected);
});

const none = Buffer.from(
  JSON.stringify({ alg: "none", typ: "event+jwt", kid: "order-1" }),
).toString("base64url");

test.each([
  [7 * 86_400_000 - 60_000, true],
  [7 * 86_400_000 + 60_000, false],
  [-50_000, true],
  [-120_000, false],
])("an event is accepted for seven days: %d ms later %s", async (ms, accepted) => {
  const { from, to, reasons } = tampering(() => ({}));
  await signedBroker(to, { verify: "required", keys }, undefined).subscribe("orders", () => {
    vi.useRealTimers();
  });
  vi.useFakeTimers({ toFake: ["Date"] });
  const publishing = from.publish("orders", event("a"));
  vi.setSystemTime(Date.now() + ms);
  await publishing;
  await expect.poll(() => reasons).toHaveLength(1);
  expect(reasons[0] === "accepted").toBe(accepted);
});

test("optional verification accepts an event without a signature, which has no account", async () => {
  const network = new MemoryBrokerNetwork();
  const broker = memoryBroker({ network, logger: silentLogger });
  open.push(broker);
  const { handled } = await subscriber(broker, { verify: "optional", keys });
  await broker.publish("orders", event("plain"));
  await expect.poll(() => handled).toEqual([[undefined, "plain"]]);
});

test("rules of a service refuse topics to publishers and subscribers", async () => {
  const network = new MemoryBrokerNetwork();
  const rules = staticRules([
    {
      ...{ id: "no-orders", access: "denied", priority: 1 },
      ...{ resource: { type: "topic", name: "orders" }, subject: { account: "service:order" } },
    },
  ]);
  const make = (events: EventsOptions, denied: boolean) => {
    const broker = memoryBroker({ network, logger: silentLogger });
    const service = createService({
      name: "stock",
      ...{ broker, events, logger: silentLogger, environment: { MICRO_REGISTRY: "memory" } },
      ...(denied && { access: { rules }, auth: new TokenAuth() }),
    });
    open.push(broker, service);
    return service.broker;
  };
  const accounts: (Account | undefined)[] = [];
  const order = make({ sign: signer("order") }, false);
  const verifying = make({ verify: "required", keys }, true);
  await verifying.subscribe("orders", (each) => void accounts.push(each.account));
  await verifying.subscribe("stock", (each) => void accounts.push(each.account));
  await order.publish("orders", event("a"));
  await order.publish("stock", event("b"));
  await expect.poll(() => accounts).toHaveLength(1);
  expect(accounts[0]).toMatchObject({ id: "service:order", issuer: "acme", provenBy: "event" });
  expect([...(accounts[0]?.scopes ?? [])]).toEqual(["stock.write"]);
  const refused = make({ sign: signer("order") }, true);
  for (const attempt of [
    refused.publish("orders", event("c")),
    refused.subscribe("orders", () => {}),
  ]) {
    expect(await errorOf(attempt)).toMatchObject({ code: "permission_denied" });
  }
});

test("options that cannot work are refused, without showing a key", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const refused: [EventsOptions, RegExp][] = [
    [{ verify: "required" }, /needs events\.keys/],
    [{ keys }, /no effect without/],
    [{ verify: "required", keys: [...keys, ...keys] }, /two keys "order-1"/],
    [{ sign: { ...signer("order"), key: "canary" } }, /Ed25519 private key/],
    [{ sign: { ...signer("order"), key: pairs.order.publicKey } }, /Ed25519 private key/],
    [{ sign: { ...signer("order"), key: rsa.privateKey } }, /Ed25519 private key/],
    [{ sign: { ...signer("order"), keyId: "" } }, /events\.sign\.keyId must be/],
  ];
  for (const [events, reason] of refused) {
    const make = () => createService({ name: "stock", events, environment: {} });
    expect(make).toThrow(reason);
    expect(make).not.toThrow(/canary/);
  }
});
