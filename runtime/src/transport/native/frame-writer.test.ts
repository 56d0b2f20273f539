import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { FrameCollector, toHex } from "../../../../test/support/wire.ts";
import { bytesCodec } from "../../codec/bytes.ts";
import type { Codec } from "../../codec/codec.ts";
import { FrameWriter } from "./frame-writer.ts";
import { frameType } from "./protocol.ts";

/** A codec without `encodeInto`, which owns its arrays. */
const encodeOnly: Codec<Uint8Array> = {
  typeName: "",
  contentType: "application/octet-stream",
  encode: (message) => Uint8Array.from(message),
  decode: (bytes) => bytes,
};

/** A socket that is slow, and reads the bytes only later. */
function slowSocket(random: () => number): { socket: Socket; received: Uint8Array[] } {
  const received: Uint8Array[] = [];
  const take = (chunk: Uint8Array, done: () => void) => {
    const taken = () => {
      received.push(Uint8Array.from(chunk));
      done();
    };
    if (random() < 0.5) taken();
    else setImmediate(taken);
  };
  const socket = new Writable({
    write: (chunk, _encoding, done) => take(chunk as Uint8Array, () => done()),
    writev: (chunks, done) =>
      take(Buffer.concat(chunks.map(({ chunk }) => chunk as Uint8Array)), () => done()),
  });
  return { socket: socket as unknown as Socket, received };
}

test("writes frames of every size completely and in order, and does not reuse unsent bytes", async () => {
  const random = seededRandom(3);
  const integer = (below: number) => Math.floor(random() * below);
  const { socket, received } = slowSocket(random);
  const writer = new FrameWriter(socket, () => undefined);
  const expected: string[] = [];
  for (let call = 1; call <= 600; call++) {
    const size = [0, 1, 60, 1000, 16_384, 40_000, 65_536, 200_000][integer(8)]!;
    const payload = new Uint8Array(size).fill(integer(200));
    const codec = random() < 0.5 ? bytesCodec : encodeOnly;
    if (random() < 0.2) {
      writer.open(frameType.message, 0, 0, call, 0);
      writer.bytes(payload);
      writer.abandon();
    }
    writer.open(frameType.message, 0, 0, call, 0);
    if (random() < 0.1) {
      expect(writer.messageAndClose(codec, payload, size - 1)).toBe(size);
      writer.abandon();
      continue;
    }
    expect(writer.messageAndClose(codec, payload, size)).toBe(size);
    // No array of the caller is retained after the call.
    if (codec === bytesCodec) payload.fill(0xee);
    expected.push(`${call}:${size}`);
    if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
  }
  writer.flush();
  while (socket.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
  const collector = new FrameCollector();
  collector.onFrame = ({ payload }) => expect(new Set(payload!).size).toBeLessThanOrEqual(1);
  for (const chunk of received) collector.reader.push(chunk);
  expect(collector.frames.map((each) => `${each.call}:${each.payload!.length}`)).toEqual(expected);
  expect(collector.frames.some((each) => each.payload![0] === 0xee)).toBe(false);
});

test("passes the frames of a tick to the socket at once", async () => {
  const writes: number[] = [];
  const socket = new Writable({
    write(chunk, _encoding, done) {
      writes.push((chunk as Uint8Array).length);
      done();
    },
  });
  const writer = new FrameWriter(socket as unknown as Socket, () => undefined);
  for (let call = 1; call <= 100; call++) writer.bare(frameType.end, 0, call, 0);
  expect(writes).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(writes).toEqual([1600]);
  expect(writer.flushes).toBe(1);
});

test("a destroyed writer writes nothing", async () => {
  const { socket, received } = slowSocket(() => 0);
  const writer = new FrameWriter(socket, () => undefined);
  writer.bare(frameType.ping, 0, 0, 0);
  writer.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  expect(received.map(toHex)).toEqual([]);
});
