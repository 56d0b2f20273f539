import { expect, test } from "vitest";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { type Frame, FrameCollector, frame, toHex } from "../../../../test/support/wire.ts";
import { frameType, maxOverheadBytes, minMessageBytes } from "./protocol.ts";

const random = seededRandom(7);
const integer = (below: number) => Math.floor(random() * below);

function someFrames(): Uint8Array[] {
  return Array.from({ length: 40 }, () => {
    const length = [0, 1, 15, 16, 17, 300, 2000, 20_000][integer(8)]!;
    const payload = new Uint8Array(length).map(() => integer(256));
    return frame({ type: frameType.message, call: integer(2 ** 32), payload });
  });
}

const inText = ({ payload, ...fields }: Frame) => ({ ...fields, payload: toHex(payload!) });

test("delivers the same frames however the bytes were segmented", () => {
  const bytes = Buffer.concat(someFrames());
  const whole = new FrameCollector();
  whole.reader.push(bytes);
  expect(whole.frames.length).toBe(40);
  const sizes: Record<string, () => number> = {
    "one byte": () => 1,
    "a header": () => 16,
    "one less than a header": () => 15,
    random: () => 1 + integer(4000),
    "random and small": () => 1 + integer(20),
  };
  for (const [name, size] of Object.entries(sizes)) {
    const split = new FrameCollector();
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + size());
      split.reader.push(Uint8Array.from(bytes.subarray(at, end)));
      at = end;
    }
    expect(split.frames.map(inText), name).toEqual(whole.frames.map(inText));
    expect(split.reader.atBoundary).toBe(true);
  }
});

test("delivers the same frames when the rest of a payload is read into place", () => {
  const payload = new Uint8Array(700_000).map(() => integer(256));
  const large = frame({ type: frameType.message, call: 1, payload });
  const bytes = Buffer.concat([...someFrames(), large, ...someFrames()]);
  const whole = new FrameCollector();
  whole.reader.push(bytes);
  const placed = new FrameCollector();
  let reads = 0;
  for (let at = 0; at < bytes.length; ) {
    const { room } = placed.reader;
    if (room !== undefined) reads++;
    const into = (room ?? new Uint8Array(4096)).subarray(0, 1 + integer(9000));
    const came = bytes.subarray(at, at + into.length);
    into.set(came);
    placed.reader.push(new Uint8Array(into.buffer, into.byteOffset, came.length));
    at += came.length;
  }
  expect(reads).toBeGreaterThan(10);
  expect(placed.frames.map(inText)).toEqual(whole.frames.map(inText));
});

test("assembles a large frame from single bytes without repeated copying", () => {
  const payload = new Uint8Array(700_000).fill(7);
  const bytes = frame({ type: frameType.message, call: 1, payload });
  const collector = new FrameCollector();
  for (let at = 0; at < bytes.length; at++) collector.reader.push(bytes.subarray(at, at + 1));
  expect(collector.frames[0]?.payload?.length).toBe(payload.length);
});

test("refuses a length over the limit before it buffers a byte of it", () => {
  const limit = minMessageBytes + maxOverheadBytes;
  for (const length of [limit + 1, 2 ** 31, 2 ** 32 - 1]) {
    const header = Buffer.from(frame({ type: frameType.call, call: 1 }));
    header.writeUInt32BE(length, 0);
    const collector = new FrameCollector(1);
    expect(() => collector.reader.push(header)).toThrow(`declares ${length} bytes`);
    expect(collector.reader.bufferedBytes).toBe(0);
  }
});

test("holds at most a quarter megabyte more than what was sent of a large frame", () => {
  const header = Buffer.from(frame({ type: frameType.message, call: 1 }));
  header.writeUInt32BE(4_000_000, 0);
  const collector = new FrameCollector();
  collector.reader.push(header);
  expect(collector.reader.bufferedBytes).toBeLessThanOrEqual(256 * 1024);
  collector.reader.push(new Uint8Array(300_000));
  expect(collector.reader.bufferedBytes).toBeLessThanOrEqual(600_000);
});

test("holds little for many large frames that are announced but not sent", () => {
  const header = Buffer.from(frame({ type: frameType.message, call: 1 }));
  header.writeUInt32BE(4_000_000, 0);
  const announced = Array.from({ length: 1_000 }, () => new FrameCollector().reader);
  for (const reader of announced) reader.push(header);
  const held = announced.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0);
  expect(held).toBeLessThan(32 * 1024 * 1024);
  for (const reader of announced) reader.stop();
  const later = new FrameCollector();
  later.reader.push(header);
  expect(later.reader.bufferedBytes).toBe(256 * 1024);
  later.reader.stop();
});

test("skips ignorable types, and refuses other unknown ones", () => {
  const known = frame({ type: frameType.ping });
  const ignorable = frame({ type: 0x81, flags: 255, payload: new Uint8Array(500) });
  const bytes = Buffer.concat([known, ignorable, known, ignorable, known]);
  for (const size of [1, 7, 400, 10_000]) {
    const collector = new FrameCollector();
    for (let at = 0; at < bytes.length; at += size) {
      collector.reader.push(Uint8Array.from(bytes.subarray(at, at + size)));
    }
    expect(collector.frames.length).toBe(3);
  }
  for (const type of [0, 0x0d, 0x7f]) {
    expect(() => new FrameCollector().reader.push(frame({ type }))).toThrow("unknown type");
  }
});

test("refuses flags and payloads that a type cannot have", () => {
  expect(() => new FrameCollector().reader.push(frame({ type: frameType.ping, flags: 1 }))).toThrow(
    "flags",
  );
  const payload = new Uint8Array(1);
  expect(() => new FrameCollector().reader.push(frame({ type: frameType.ping, payload }))).toThrow(
    "declares 1 bytes",
  );
});

test("buffers input while paused, also in the middle of a chunk", () => {
  const frames = Array.from({ length: 9 }, (_, call) => frame({ type: frameType.ping, call }));
  const collector = new FrameCollector();
  collector.onFrame = ({ call }) => {
    if (call === 2 || call === 5) collector.reader.pause();
  };
  collector.reader.push(Buffer.concat(frames.slice(0, 7)));
  collector.reader.push(Buffer.concat(frames.slice(7)));
  expect(collector.frames.length).toBe(3);
  collector.reader.resume();
  expect(collector.frames.length).toBe(6);
  collector.reader.resume();
  expect(collector.frames.map((each) => each.call)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});
