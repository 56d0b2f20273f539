import { Metadata } from "@micro-es/runtime";
import type { EventRecord } from "@micro-es/runtime/driver";
import { describe, expect, test } from "vitest";
import {
  PubsubMessageCodec,
  type PubsubMessageInit,
} from "../gen/google/pubsub/v1/pubsub_codec.ts";
import { decodeMessage, encodeMessage, letterOf } from "./message.ts";

const event: EventRecord = {
  id: "order-1",
  topic: "orders",
  body: Uint8Array.from([0, 255]),
  contentType: "application/protobuf",
  typeName: "acme.Order",
  key: "Zoë/1\r\n",
  metadata: new Metadata(),
};
const passed = (message: PubsubMessageInit) =>
  decodeMessage("orders", PubsubMessageCodec.decode(PubsubMessageCodec.encode(message)), 1_000);
const entriesOf = (metadata: Metadata) => new Map(Array.from(metadata));

describe("an event as a message of Pub/Sub", () => {
  test("is the same event at its subscriber", () => {
    const metadata = new Metadata([
      ["tenant", "acme"],
      ["several", "a"],
      ["several", "b"],
      ["long", "v".repeat(5_000)],
      ["trace-bin", Uint8Array.from([0, 200])],
      ["__proto__", "p"],
      ["goog-x", "g"],
    ]);
    const { metadata: got, ...others } = passed(
      encodeMessage({ ...event, metadata }, { isOrdered: true }),
    );
    const { metadata: _, ...sent } = event;
    expect(others).toEqual(sent);
    expect(got.getAll("several")).toEqual(["a", "b"]);
    expect(entriesOf(got)).toEqual(entriesOf(metadata));
  });

  test("has attributes that other programs can read, within the limits of the service", () => {
    const metadata = new Metadata({ tenant: "acme", long: "v".repeat(5_000) });
    const key = "é€😀".repeat(300);
    const { attributes, orderingKey } = encodeMessage(
      { ...event, key, metadata },
      {
        isOrdered: true,
      },
    );
    expect(attributes).toMatchObject({ "micro-id": "order-1", tenant: "acme" });
    for (const value of Object.values(attributes ?? {})) {
      expect(Buffer.byteLength(value)).toBeLessThanOrEqual(1_024);
    }
    expect(Buffer.byteLength(orderingKey ?? "")).toBeLessThanOrEqual(1_024);
    expect(encodeMessage(event, { isOrdered: false }).orderingKey).toBeUndefined();
  });

  test("of another program is an event of bytes, with its attributes as metadata", () => {
    const attributes = { Tenant: "acme", "not allowed": "x", "raw-bin": "x", ünicode: "x" };
    const got = passed({ data: event.body, attributes, messageId: "77", orderingKey: "k" });
    expect(got).toMatchObject({
      id: "77",
      key: "k",
      contentType: "application/octet-stream",
      typeName: "",
    });
    expect([...entriesOf(got.metadata)]).toEqual([["tenant", "acme"]]);
  });

  test("is refused if it is not valid, or too large", () => {
    expect(() => passed({ data: new Uint8Array(1_001) })).toThrow(/1001/);
    const attributes = { "micro-id": "a b" };
    expect(() => passed({ data: event.body, attributes })).toThrow(/id/);
  });

  test("has a number only as a dead letter", () => {
    const letter = 1_764_595_200_000_000_123n;
    const { attributes } = encodeMessage(event, { isOrdered: false, letter });
    const received = PubsubMessageCodec.decode(
      PubsubMessageCodec.encode({ attributes: attributes ?? {} }),
    );
    expect(letterOf(received)).toBe(letter);
    expect(letterOf({ ...received, attributes: { "micro-letter": "x" } })).toBeUndefined();
  });
});
