import { MicroError } from "../../base/error.ts";
import { Metadata } from "../../base/metadata.ts";
import type { Method } from "../../call/method.ts";
import { bytesCodec } from "../../codec/bytes.ts";
import type { Codec } from "../../codec/codec.ts";
import { copyOf } from "../../codec/wire/slab.ts";
import { reservedEventKeys } from "../broker.ts";
import { checkDescription, type EventRecord } from "../event.ts";

/** Events for one subscription, as they are sent. */
export interface OutgoingEvents {
  /** Id of the subscription: at most 255 characters of ASCII. */
  readonly subscription: string;
  readonly topic: string;
  readonly events: readonly { readonly record: EventRecord }[];
  /** The most bytes that it takes: {@link batchBytes}, and {@link eventBytes} of each event. */
  readonly size: number;
}

/** Events for one subscription, as they are received. An event that is not valid is undefined. */
export interface IncomingEvents {
  readonly subscription: string;
  readonly topic: string;
  readonly records: readonly (EventRecord | undefined)[];
}

/** Maximum number of events in a batch. */
export const maxBatchEvents = 1_024;

/** The largest batch, in bytes. Larger events are posted over HTTP. */
export const maxBatchBytes: number = 64 * 1024;

/** The most bytes that a batch takes besides its events. */
export const maxBatchHeadBytes = 512;

/** The name and version by which a connection changes from HTTP to native delivery. */
export const upgradeToken = "micro-events/1";

/** The result of an event of a batch; the response has a byte for each, or none if all are 0. */
export const eventResult = { accepted: 0, full: 1, gone: 2, refused: 3 } as const;

/** The flags of an event. */
const hasDescription = 1;
const hasKey = 2;
const hasMetadata = 4;

/** The bytes that a batch takes besides its events. */
export function batchBytes(subscription: string, topic: string): number {
  return 2 + subscription.length + topic.length;
}

/** The most bytes that an event takes in a batch. */
export function eventBytes(record: EventRecord): number {
  const { id, contentType, typeName, key, metadata, body } = record;
  let size = 9 + id.length + contentType.length + typeName.length + body.length;
  if (key !== undefined) size += 2 + 3 * key.length;
  if (!metadata.isEmpty) size += 2 + metadata.encode().length;
  return size;
}

const batchCodec: Codec<IncomingEvents, OutgoingEvents> = {
  typeName: "",
  contentType: "application/micro-events",
  encode(batch) {
    const bytes = new Uint8Array(batch.size);
    return bytes.subarray(0, writeBatch(batch, bytes, 0));
  },
  encodeInto(batch, target, offset) {
    const end = offset + batch.size;
    return end > target.length ? end : writeBatch(batch, target, offset);
  },
  decode: (bytes) => readBatch(bytes, 0, bytes.length),
  decodeFrom: readBatch,
};

/** Delivers a batch, over the native protocol (docs/events.md, "On the wire"). */
export const deliverMethod: Method<IncomingEvents, OutgoingEvents, Uint8Array, Uint8Array> = {
  service: "micro.http.broker",
  name: "micro.events.v1.Events/Deliver",
  kind: "unary",
  input: batchCodec,
  output: bytesCodec,
  idempotency: "unknown",
};

function writeBatch(batch: OutgoingEvents, bytes: Uint8Array, offset: number): number {
  let at = writeText(bytes, offset, batch.subscription);
  at = writeText(bytes, at, batch.topic);
  let contentType = "";
  let typeName = "";
  for (const { record } of batch.events) {
    const { key, metadata, body } = record;
    const described = record.contentType !== contentType || record.typeName !== typeName;
    const block = metadata.isEmpty ? undefined : metadata.encode();
    bytes[at] =
      (described ? hasDescription : 0) |
      (key === undefined ? 0 : hasKey) |
      (block === undefined ? 0 : hasMetadata);
    at = writeText(bytes, at + 1, record.id);
    if (described) {
      ({ contentType, typeName } = record);
      at = writeText(bytes, at, contentType);
      at = writeUint16(bytes, at, typeName.length);
      at = writeAscii(bytes, at, typeName);
    }
    if (key !== undefined) {
      const { written } = utf8.encodeInto(key, bytes.subarray(at + 2));
      at = writeUint16(bytes, at, written) + written;
    }
    if (block !== undefined) {
      at = writeUint16(bytes, at, block.length);
      bytes.set(block, at);
      at += block.length;
    }
    at = writeUint16(bytes, at, body.length >>> 16);
    at = writeUint16(bytes, at, body.length);
    bytes.set(body, at);
    at += body.length;
  }
  return at;
}

const utf8 = new TextEncoder();

function writeUint16(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
  return at + 2;
}

/** Writes a length of one byte, and the text. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  bytes[at] = text.length;
  return writeAscii(bytes, at + 1, text);
}

function writeAscii(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/**
 * @throws MicroError `invalid_argument` for bytes that are not a batch; nothing of it is delivered
 * then.
 */
function readBatch(bytes: Uint8Array, start: number, end: number): IncomingEvents {
  const reader = new Reader(bytes, start, end);
  const subscription = reader.text(reader.uint8());
  const topic = reader.text(reader.uint8());
  const records: (EventRecord | undefined)[] = [];
  const last = { contentType: "", typeName: "" };
  while (reader.at < end) {
    if (records.length === maxBatchEvents) throw malformed(`over ${maxBatchEvents} events`);
    records.push(readEvent(reader, topic, last));
  }
  return { subscription, topic, records };
}

/** @param last the description of the previous event, which this one has unless it has its own */
function readEvent(
  reader: Reader,
  topic: string,
  last: { contentType: string; typeName: string },
): EventRecord | undefined {
  const flags = reader.uint8();
  if (flags > (hasDescription | hasKey | hasMetadata)) throw malformed(`flags ${flags}`);
  const id = reader.text(reader.uint8());
  if ((flags & hasDescription) !== 0) {
    last.contentType = reader.text(reader.uint8());
    last.typeName = reader.text(reader.uint16());
  }
  const key = (flags & hasKey) === 0 ? undefined : reader.utf8(reader.uint16());
  const block = (flags & hasMetadata) === 0 ? undefined : reader.copy(reader.uint16());
  const body = reader.copy(reader.uint16() * 0x1_0000 + reader.uint16());
  const { contentType, typeName } = last;
  try {
    checkDescription(topic, { contentType, typeName, key: key ?? "", id });
    const metadata = block === undefined ? noMetadata : readMetadata(block);
    return { id, topic, body, contentType, typeName, key: key === "" ? undefined : key, metadata };
  } catch (error) {
    if (error instanceof MicroError) return undefined;
    throw error;
  }
}

const noMetadata = new Metadata();

/** @throws MicroError for a block that is not valid, or has keys that brokers use. */
function readMetadata(block: Uint8Array): Metadata {
  const metadata = Metadata.decode(block);
  // The first read checks the whole block, so that no later one can fail.
  for (const key of reservedEventKeys) {
    if (metadata.has(key)) throw malformed(`metadata ${key}`);
  }
  return metadata;
}

class Reader {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #buffer: Buffer;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = start;
    this.#end = end;
  }

  uint8(): number {
    return this.#bytes[this.#skip(1)]!;
  }

  uint16(): number {
    const at = this.#skip(2);
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  text(length: number): string {
    const at = this.#skip(length);
    return this.#buffer.toString("latin1", at, at + length);
  }

  utf8(length: number): string {
    const at = this.#skip(length);
    return this.#buffer.toString("utf8", at, at + length);
  }

  /** A copy, because a small event must not keep all that was read with it. */
  copy(length: number): Uint8Array {
    const at = this.#skip(length);
    return copyOf(this.#bytes, at, at + length);
  }

  #skip(length: number): number {
    const { at } = this;
    if (length > this.#end - at) throw malformed("an end inside an event");
    this.at = at + length;
    return at;
  }
}

function malformed(what: string): MicroError {
  return new MicroError("invalid_argument", `a batch of events is malformed: it has ${what}`, {
    outcome: "not-executed",
  });
}
