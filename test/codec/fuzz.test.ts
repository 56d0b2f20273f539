import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";
import { type TestCodec, testCodecs } from "./generated.ts";
import type { Judge } from "./judge.ts";
import { sameMessage } from "./same-message.ts";

const generated = await testCodecs();
const codec = generated.codec("trap3.All");
// These runs are judged without protoc, which may not be there: nothing that is read may be wrong
// in them.
const nobody: Judge = { text: () => undefined };

test("reads and writes a few hundred messages, the same for the same seed, like protobuf-es", () => {
  const valid = (seed: number) => {
    const { valid, failures } = fuzz([codec], nobody, { inputs: 300, seed, stopAfter: 1000 });
    expect(failures.filter((failure) => !/protoc/.test(failure))).toEqual([]);
    return valid;
  };
  expect(valid(7)).toBe(valid(7));
});

test("a planted error is found, in what is read and in what is written", () => {
  const off: TestCodec = {
    ...copyOf(codec),
    decode(bytes: Uint8Array) {
      const message = codec.decode(bytes);
      if (message.listSint64.length === 2) message.listSint64[1] += 1n;
      return message;
    },
  };
  const lost: TestCodec = {
    ...copyOf(codec),
    encode: (message: { aBool?: boolean }) => codec.encode({ ...message, aBool: false }),
  };
  for (const planted of [off, lost]) {
    const { failures } = fuzz([planted], nobody, { inputs: 300, seed: 1, stopAfter: 1000 });
    expect(failures.filter((failure) => !/protoc/.test(failure)).length).toBeGreaterThan(5);
  }
});

test("messages are equal if all their parts are", () => {
  const one = codec.decode(codec.encode({ aDouble: Number.NaN, mapString: { a: "b" } }));
  expect(sameMessage(one, structuredClone(one))).toBe(true);
  expect(sameMessage(one, { ...one, aDouble: 0 })).toBe(false);
  expect(sameMessage(one, { ...one, more: 1 })).toBe(false);
  expect(sameMessage({ a: -0 }, { a: 0 })).toBe(false);
});

function copyOf(of: TestCodec): TestCodec {
  return {
    ...of,
    encode: (message) => of.encode(message),
    encodeInto: (message, target, offset) => of.encodeInto(message, target, offset),
    decode: (bytes) => of.decode(bytes),
  };
}
