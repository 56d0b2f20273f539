import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { afterEach, expect, test, vi } from "vitest";
import { silentLogger } from "../base/logger.ts";
import { bytesCodec } from "../codec/bytes.ts";
import { protobufCodec } from "../codec/protobuf.ts";
import type { Broker, IncomingEvent, OutgoingEvent } from "./broker.ts";
import { MemoryBrokerNetwork, memoryBroker } from "./memory/broker.ts";
import { createTopic } from "./topic.ts";

const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

// Any message type would do; this one is available without generated code.
const topic = createTopic({
  name: "acme.things",
  codec: protobufCodec(AnySchema),
  key: (message) => message.typeUrl ?? "",
});

const brokers: Broker[] = [];
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
});

function newBroker(): Broker {
  const broker = memoryBroker({ network: new MemoryBrokerNetwork(), logger: silentLogger });
  brokers.push(broker);
  return broker;
}

test("publishes a message with its type, content type and key, and the other options", async () => {
  const broker = newBroker();
  const seen: IncomingEvent[] = [];
  await broker.subscribe(topic.name, (event) => void seen.push(event));
  await topic.publish(broker, { typeUrl: "k" }, { id: "id-1", metadata: { tenant: "acme" } });
  await until(() => seen.length === 1);
  expect(seen[0]).toMatchObject({
    id: "id-1",
    topic: "acme.things",
    contentType: "application/protobuf",
    typeName: "google.protobuf.Any",
    key: "k",
  });
  expect(seen[0]?.metadata.toObject()).toEqual({ tenant: "acme" });
  expect(fromBinary(AnySchema, seen[0]?.body ?? new Uint8Array()).typeUrl).toBe("k");
});

test("refuses a message that does not fit its type", async () => {
  const wrong = { value: "text" } as unknown as Any;
  await expect(topic.publish(newBroker(), wrong)).rejects.toMatchObject({
    code: "invalid_argument",
  });
});

const message = create(AnySchema, { typeUrl: "" });
const binary = toBinary(AnySchema, create(AnySchema, { typeUrl: "x", value: new Uint8Array([1]) }));
const json = Buffer.from(toJsonString(AnySchema, message));

test.each([
  "application/protobuf",
  "Application/Protobuf; proto=google.protobuf.Any",
  "application/x-protobuf",
  "application/proto",
  "application/grpc",
  "application/grpc+proto",
])("decodes %s as protobuf, with or without a type name", async (contentType) => {
  const broker = newBroker();
  const seen: Any[] = [];
  await topic.subscribe(broker, (got) => void seen.push(got));
  for (const typeName of ["", "google.protobuf.Any"]) {
    await broker.publish(topic.name, { body: binary, contentType, typeName });
  }
  await until(() => seen.length === 2);
  expect(seen.map(({ typeUrl }) => typeUrl)).toEqual(["x", "x"]);
});

test.each(["application/json", "application/json; charset=utf-8", "application/grpc+json"])(
  "decodes %s as protobuf-JSON",
  async (contentType) => {
    const broker = newBroker();
    const seen: Any[] = [];
    await topic.subscribe(broker, (got) => void seen.push(got));
    await broker.publish(topic.name, { body: json, contentType, typeName: "" });
    await until(() => seen.length === 1);
    expect(seen).toEqual([message]);
  },
);

const hostile: readonly (readonly [what: string, event: OutgoingEvent, reason: RegExp])[] = [
  [
    "bytes of another message",
    { body: Buffer.from([0xff]), contentType: "application/protobuf", typeName: "" },
    /does not decode/,
  ],
  [
    "broken JSON",
    { body: Buffer.from("{"), contentType: "application/json", typeName: "" },
    /does not decode/,
  ],
  [
    "an unknown content type",
    { body: binary, contentType: "text/csv", typeName: "" },
    /no format for text\/csv/,
  ],
  [
    "another message type",
    { body: binary, contentType: "application/protobuf", typeName: "acme.Other" },
    /is a acme\.Other, and its subscriber takes google\.protobuf\.Any/,
  ],
];

test.each(hostile)(
  "rejects %s at once, and keeps it as a dead letter",
  async (_, event, reason) => {
    const broker = newBroker();
    const dead: IncomingEvent[] = [];
    const handler = vi.fn();
    await broker.subscribe("dead", (letter) => void dead.push(letter));
    const subscription = await topic.subscribe(broker, handler, { deadLetter: "dead" });
    await broker.publish(topic.name, event);
    await until(() => dead.length === 1);
    expect(handler).not.toHaveBeenCalled();
    expect(dead[0]?.metadata.get("micro-dead-letter-reason")).toMatch(reason);
    expect(dead[0]?.metadata.get("micro-dead-letter-attempts")).toBe("1");
    await until(() => subscription.stats.rejected === 1);
  },
);

test("a topic of opaque bytes has no other format", async () => {
  const broker = newBroker();
  const bytes = createTopic({ name: "bytes", codec: bytesCodec });
  const seen: Uint8Array[] = [];
  const subscription = await bytes.subscribe(broker, (got) => void seen.push(got));
  await bytes.publish(broker, new Uint8Array([1, 2]));
  await broker.publish("bytes", { body: json, contentType: "application/json", typeName: "" });
  await until(() => seen.length === 1 && subscription.stats.rejected === 1);
  expect([...(seen[0] ?? [])]).toEqual([1, 2]);
});
