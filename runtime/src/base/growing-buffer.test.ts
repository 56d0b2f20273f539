import { expect, test } from "vitest";
import { GrowingBuffer } from "./growing-buffer.ts";

test("holds what was appended, in order", () => {
  const buffer = new GrowingBuffer();
  for (let byte = 0; byte < 5_000; byte++) buffer.append(Buffer.of(byte & 0xff));
  buffer.append(Buffer.alloc(100_000, 7));
  expect(buffer.length).toBe(105_000);
  const bytes = buffer.take();
  expect(bytes.subarray(0, 5_000)).toEqual(
    Buffer.from(Array.from({ length: 5_000 }, (_, at) => at & 0xff)),
  );
  expect(bytes.subarray(5_000)).toEqual(Buffer.alloc(100_000, 7));
  expect(buffer.length).toBe(0);
});

test("does not change bytes that were taken", () => {
  const buffer = new GrowingBuffer();
  buffer.append(Buffer.from("first"));
  const first = buffer.take();
  buffer.append(Buffer.from("other"));
  expect(first.toString()).toBe("first");
  expect(buffer.bytes.toString()).toBe("other");
});

test("takes at most twice the memory of its bytes", () => {
  const buffer = new GrowingBuffer();
  for (let piece = 0; piece < 3_000; piece++) buffer.append(Buffer.alloc(10));
  expect(buffer.bytes.buffer.byteLength).toBeLessThanOrEqual(2 * buffer.length);
});
