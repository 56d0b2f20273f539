import { HpackEncoder } from "../../runtime/src/transport/http2/hpack/encoder.ts";
import { frame, preface, types, uint32 } from "../hostile/raw-http2.ts";
import { fields, requestFields } from "../support/http2-peers.ts";
import { integer, mutate, pick, type Random } from "./mutation.ts";

/** Conversations of HTTP/2 whose frames are valid each, and seldom make sense together. */

const oddStreams = [0, 2, 9, 0x7fff_ffff];
const windows = [1, 100, 1_000, 65_535, 0x7fff_ffff];
const endStream = 1;

/**
 * Header blocks: first those of requests, then others that depend on no block before them, and at
 * the end some that do.
 */
const requestBlocks = 3;
const freeBlocks = 8;
export const blocks: readonly Buffer[] = headerBlocks();

/** What a client sends, or after {@link preface} a server. */
export function conversation(random: Random, isClient: boolean): Buffer {
  const frames = new Frames(random, isClient);
  const parts = [frame(types.settings, 0, 0)];
  if (isClient) parts.unshift(preface);
  for (let count = 1 + integer(random, 30); count > 0; count--) parts.push(...frames.next());
  const whole = Buffer.concat(parts);
  return integer(random, 4) === 0 ? Buffer.from(mutate(random, [whole])) : whole;
}

class Frames {
  readonly #random: Random;
  /** The streams that were opened. A client has opened three. */
  readonly #streams: number[];
  readonly #isClient: boolean;

  constructor(random: Random, isClient: boolean) {
    this.#random = random;
    this.#isClient = isClient;
    this.#streams = isClient ? [] : [1, 3, 5];
  }

  next(): Buffer[] {
    const random = this.#random;
    if (this.#streams.length === 0 || (this.#isClient && integer(random, 4) === 0)) {
      this.#streams.push(2 * this.#streams.length + 1);
      return this.#headers(this.#streams.at(-1)!, true);
    }
    const stream = pick(random, integer(random, 40) === 0 ? oddStreams : this.#streams);
    switch (integer(random, 10)) {
      case 0:
      case 1:
        return this.#headers(stream);
      case 2:
      case 3:
      case 4:
        return [this.#data(stream)];
      case 5:
        return [frame(types.reset, 0, stream, uint32(integer(random, 20)))];
      case 6:
        return [frame(types.windowUpdate, 0, stream, uint32(pick(random, windows)))];
      case 7:
        return [frame(types.windowUpdate, 0, 0, uint32(pick(random, windows.slice(0, 4))))];
      case 8:
        return [frame(types.settings, 0, 0, settings(random))];
      default:
        return [this.#rare(stream)];
    }
  }

  #headers(stream: number, opens = false): Buffer[] {
    const random = this.#random;
    const end = integer(random, 3) === 0 ? endStream : 0;
    const whole = this.#block(opens);
    if (integer(random, 4) > 0) return [frame(types.headers, end | 4, stream, whole)];
    const at = integer(random, whole.length + 1);
    return [
      frame(types.headers, end, stream, whole.subarray(0, at)),
      frame(types.continuation, 4, stream, whole.subarray(at)),
    ];
  }

  /** A header block, mostly one of a request if it opens a stream. */
  #block(opens: boolean): Buffer {
    const random = this.#random;
    const chance = integer(random, 20);
    if (chance === 0) return Buffer.from(mutate(random, blocks));
    if (chance === 1) return pick(random, blocks);
    return pick(random, opens ? blocks.slice(0, requestBlocks) : blocks.slice(0, freeBlocks));
  }

  #data(stream: number): Buffer {
    const random = this.#random;
    const end = integer(random, 3) === 0 ? endStream : 0;
    const data = Buffer.alloc(pick(random, [0, 1, 5, 5, 200, 999]));
    if (integer(random, 4) > 0) return frame(types.data, end, stream, data);
    const padding = integer(random, 5);
    const padded = Buffer.concat([Buffer.of(padding), data, Buffer.alloc(padding)]);
    return frame(types.data, end | 8, stream, padded);
  }

  #rare(stream: number): Buffer {
    const random = this.#random;
    const payload = Buffer.alloc(integer(random, 40), integer(random, 256));
    switch (integer(random, 6)) {
      case 0:
        return frame(types.ping, integer(random, 2), 0, Buffer.alloc(8));
      case 1:
        return frame(2, 0, stream, Buffer.alloc(5));
      case 2:
        return frame(7, 0, 0, Buffer.concat([uint32(stream), uint32(integer(random, 3))]));
      case 3:
        return frame(types.settings, 1, 0);
      case 4:
        return frame(0x42, integer(random, 256), stream, payload);
      default:
        return frame(integer(random, 12), integer(random, 256), stream, payload);
    }
  }
}

function settings(random: Random): Buffer {
  const one = Buffer.alloc(6);
  one.writeUInt16BE(integer(random, 9));
  one.writeUInt32BE(pick(random, [0, 1, 100, 16_384, 16_384, 65_535]), 2);
  return integer(random, 6) === 0 ? Buffer.alloc(0) : one;
}

function headerBlocks(): Buffer[] {
  const lists = [
    requestFields("/a", ["content-type", "application/grpc"], ["te", "trailers"]),
    requestFields("/a", ["content-length", "5"], ["x-long", "v".repeat(200)]),
    requestFields("/b", ["authorization", "secret"], ["grpc-timeout", "1S"]),
    fields([":status", "200"], ["content-type", "application/grpc"]),
    fields([":status", "103"], ["link", "</a>"]),
    fields([":status", "204"]),
    fields(["grpc-status", "0"], ["grpc-message", "text"]),
    fields(["connection", "close"]),
  ];
  const encoded = (encoder: HpackEncoder, list: (typeof lists)[number]) => {
    const length = encoder.encode(undefined, list);
    return Buffer.from(Uint8Array.from(encoder.bytes.subarray(0, length)));
  };
  // Most depend on no other block, and some on each other.
  const shared = new HpackEncoder();
  return [
    ...lists.map((list) => encoded(new HpackEncoder(), list)),
    ...lists.slice(0, 3).map((list) => encoded(shared, list)),
  ];
}
