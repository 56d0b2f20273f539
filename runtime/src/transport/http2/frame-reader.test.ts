import { describe, expect, test } from "vitest";
import { frame, types } from "../../../../test/hostile/raw-http2.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";

const maxFrameBytes = 16_384;

/** What a reader delivers, with the data of a frame joined. */
class Collector implements FrameHandler {
  readonly events: string[] = [];
  readonly reader: FrameReader = new FrameReader(this, maxFrameBytes);
  #data = "";

  dataFrame(stream: number, flags: number, bytes: number, padding: number): void {
    this.events.push(`data frame ${stream} ${flags} ${bytes} ${padding}`);
  }

  dataBytes(bytes: Uint8Array, start: number, end: number, isLast: boolean): void {
    this.#data += Buffer.from(bytes.subarray(start, end)).toString("hex");
    if (!isLast) return;
    this.events.push(`data ${this.#data}`);
    this.#data = "";
  }

  frame(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const payload = Buffer.from(bytes.subarray(start, end)).toString("hex");
    this.events.push(`${type} ${flags} ${stream} ${payload}`);
  }

  unknownFrame(): void {
    this.events.push("unknown");
  }
}

const padded = 8;
const frames = [
  frame(types.settings, 0, 0, Buffer.alloc(12, 7)),
  frame(types.headers, 4, 1, Buffer.alloc(300, 1)),
  frame(types.data, 0, 1, Buffer.alloc(16_384, 2)),
  frame(types.data, 0, 1),
  frame(types.data, padded, 1, Buffer.concat([Buffer.of(5), Buffer.alloc(15, 3)])),
  frame(types.data, padded, 1, Buffer.concat([Buffer.of(4), Buffer.alloc(4)])),
  frame(0x42, 0xff, 9, Buffer.alloc(5000, 9)),
  frame(types.headers, 0, 3, Buffer.alloc(3, 1)),
  frame(types.continuation, 0, 3),
  frame(types.continuation, 4, 3, Buffer.alloc(9, 1)),
  frame(types.ping, 0, 0, Buffer.alloc(8, 4)),
  frame(types.data, padded | 1, 1, Buffer.of(0, 8)),
];
const bytes = Buffer.concat(frames);

test("delivers the same frames however the bytes were segmented", () => {
  const whole = new Collector();
  whole.reader.push(bytes);
  expect(whole.events).toHaveLength(17);
  expect(whole.events.slice(5, 9)).toEqual([
    "data ",
    "data frame 1 8 16 6",
    `data ${"03".repeat(10)}`,
    "data frame 1 8 5 5",
  ]);
  expect(whole.reader.atBoundary).toBe(true);
  const random = seededRandom(3);
  const sizes = [() => 1, () => 9, () => 8, () => 1 + Math.floor(random() * 4000)];
  for (const size of sizes) {
    const split = new Collector();
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + size());
      split.reader.push(Uint8Array.from(bytes.subarray(at, end)));
      at = end;
    }
    expect(split.events).toEqual(whole.events);
    expect(split.reader.atBoundary).toBe(true);
    expect(split.reader.completed).toBe(whole.reader.completed);
  }
});

test("knows that a header block without its end is incomplete", () => {
  const collector = new Collector();
  collector.reader.push(frame(types.headers, 0, 1));
  expect(collector.reader.atBoundary).toBe(false);
  const { completed } = collector.reader;
  collector.reader.push(frame(types.continuation, 0, 1));
  expect(collector.reader.completed).toBe(completed);
  collector.reader.push(frame(types.continuation, 4, 1));
  expect(collector.reader.completed).toBe(completed + 1);
  expect(collector.reader.atBoundary).toBe(true);
});

test("delivers nothing while paused, and everything afterwards", () => {
  const whole = new Collector();
  whole.reader.push(bytes);
  const paused = new Collector();
  paused.reader.pause();
  paused.reader.push(bytes.subarray(0, 1000));
  paused.reader.push(bytes.subarray(1000));
  expect(paused.events).toEqual([]);
  paused.reader.resume();
  expect(paused.events).toEqual(whole.events);
});

test("holds no more of an announced frame than has arrived", () => {
  const collector = new Collector();
  collector.reader.push(frame(types.headers, 4, 1, Buffer.alloc(16_000)).subarray(0, 20));
  expect(collector.reader.heldBytes).toBeLessThan(1_000);
});

const { protocolError, frameSizeError } = errorCode;

describe("refuses", () => {
  test.each<[what: string, code: number, ...sent: Buffer[]]>([
    ["DATA on the connection", protocolError, frame(types.data, 0, 0)],
    ["HEADERS on the connection", protocolError, frame(types.headers, 4, 0)],
    ["SETTINGS on a stream", protocolError, frame(types.settings, 0, 1)],
    ["PING on a stream", protocolError, frame(types.ping, 0, 1, Buffer.alloc(8))],
    ["GOAWAY on a stream", protocolError, frame(7, 0, 1, Buffer.alloc(8))],
    ["RST_STREAM on the connection", protocolError, frame(types.reset, 0, 0, Buffer.alloc(4))],
    ["PRIORITY on the connection", protocolError, frame(2, 0, 0, Buffer.alloc(5))],
    ["PING of 7 bytes", frameSizeError, frame(types.ping, 0, 0, Buffer.alloc(7))],
    ["PRIORITY of 4 bytes", frameSizeError, frame(2, 0, 1, Buffer.alloc(4))],
    ["RST_STREAM of 5 bytes", frameSizeError, frame(types.reset, 0, 1, Buffer.alloc(5))],
    ["GOAWAY of 7 bytes", frameSizeError, frame(7, 0, 0, Buffer.alloc(7))],
    ["WINDOW_UPDATE of 3 bytes", frameSizeError, frame(types.windowUpdate, 0, 0, Buffer.alloc(3))],
    ["DATA over the limit", frameSizeError, frame(types.data, 0, 1, Buffer.alloc(16_385))],
    ["an unknown frame over the limit", frameSizeError, frame(0x99, 0, 1, Buffer.alloc(16_385))],
    ["padded DATA without padding", frameSizeError, frame(types.data, padded, 1)],
    ["more padding than DATA", protocolError, frame(types.data, padded, 1, Buffer.of(2, 0))],
    ["CONTINUATION without HEADERS", protocolError, frame(types.continuation, 4, 1)],
    [
      "another frame within a header block",
      protocolError,
      frame(types.headers, 0, 1),
      frame(types.ping, 0, 0, Buffer.alloc(8)),
    ],
    [
      "an unknown frame within a header block",
      protocolError,
      frame(types.headers, 0, 1),
      frame(0x42, 0, 1),
    ],
    [
      "CONTINUATION of another stream",
      protocolError,
      frame(types.headers, 0, 1),
      frame(types.continuation, 4, 3),
    ],
  ])("%s", (_what, code, ...sent) => {
    let error: unknown;
    try {
      new Collector().reader.push(Buffer.concat(sent));
    } catch (reason) {
      error = reason;
    }
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as ConnectionError).code).toBe(code);
  });
});
