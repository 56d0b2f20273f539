import { Metadata } from "@micro-es/runtime";
import { headers } from "nats";
import { expect, test } from "vitest";
import { decodeMessage, encodeHeaders } from "../src/broker/message.ts";

test("a replay marker that could inject headers into a dead letter is dropped", () => {
  const lines = headers();
  lines.set("Micro-ID", "e1");
  lines.set("Micro-Replay", "x\u010d\u010aNats-Expected-Last-Sequence: 999");
  const message = { data: new Uint8Array([1]), headers: lines };
  const record = decodeMessage("orders", message, 1_000);
  expect(record.replay).toBeUndefined();
  lines.set("Micro-Replay", "orders.dead/12");
  expect(decodeMessage("orders", message, 1_000).replay).toBe("orders.dead/12");
});

test("an empty content type means bytes", () => {
  const record = {
    id: "e1",
    topic: "orders",
    key: undefined,
    contentType: "",
    typeName: "",
    body: new Uint8Array(0),
    metadata: new Metadata(),
  };
  expect(encodeHeaders(record)).toContain("Content-Type: \r\n");
  const lines = headers();
  lines.set("Content-Type", "");
  lines.set("Micro-ID", "e1");
  const message = { data: record.body, headers: lines };
  expect(decodeMessage("orders", message, 1_000).contentType).toBe("application/octet-stream");
});
