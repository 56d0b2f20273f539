import { describe, expect, test } from "vitest";
import { type BodyRules, receiveBody } from "./received-body.ts";

const message = (text: string, length = text.length) => {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
};
const bytesOf = (body: Buffer) => Array.from(body, (byte) => Uint8Array.of(byte));

const rules: BodyRules = {
  maxBytes: 1_000,
  maxInflationRatio: 100,
  over: () => undefined,
  schema: undefined,
  maxElements: 1_000,
};

async function joined(pieces: readonly Uint8Array[], header: Record<string, string>) {
  const body = (async function* () {
    yield* pieces;
  })();
  const found: string[] = [];
  for await (const piece of receiveBody(body, new Headers(header), rules).body) {
    found.push(Buffer.from(piece).toString("latin1"));
  }
  return found;
}

const text = (bytes: Buffer) => bytes.toString("latin1");

describe.each(["application/grpc", "application/grpc-web+proto", "application/connect+json"])(
  "the pieces of a body of %s",
  (type) => {
    const header = { "content-type": type };

    test("are joined to one per message", async () => {
      const messages = [message("first"), message(""), message("third")];
      const found = await joined(bytesOf(Buffer.concat(messages)), header);
      expect(found).toEqual(messages.map(text));
    });

    test("are passed on once a message in them is complete", async () => {
      const whole = Buffer.concat([message("first"), message("second").subarray(0, 7)]);
      const rest = message("second").subarray(7);
      const found = await joined([whole, ...bytesOf(rest)], header);
      expect(found).toEqual([text(message("first")), text(message("second"))]);
    });

    test("are refused as soon as a length is over the limit", async () => {
      const begun = bytesOf(message("begins", 1_001));
      await expect(joined(begun, header)).rejects.toThrow("1001 bytes or more, over the limit");
    });

    test("are passed on when the body ends within a message", async () => {
      const part = message("incomplete").subarray(0, 8);
      expect(await joined(bytesOf(part), header)).toEqual([text(part)]);
    });
  },
);

test("the pieces of a single message are joined up to the limit", async () => {
  const header = { "content-type": "application/json" };
  expect(await joined(bytesOf(Buffer.from('{"a":1}')), header)).toEqual(['{"a":1}']);
  await expect(joined(bytesOf(Buffer.alloc(1_100, "x")), header)).rejects.toThrow("over the limit");
});

test("the pieces of other bodies, and of those with a length, stay as they are", async () => {
  expect(await joined(bytesOf(Buffer.from("ab")), { "content-type": "text/plain" })).toEqual([
    "a",
    "b",
  ]);
  const header = { "content-type": "application/json", "content-length": "2" };
  expect(await joined(bytesOf(Buffer.from("ab")), header)).toEqual(["a", "b"]);
});
