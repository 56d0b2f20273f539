import type { DescMessage } from "@bufbuild/protobuf";
import { isMicroError, MicroError } from "../../base/error.ts";
import { GrowingBuffer } from "../../base/growing-buffer.ts";
import { checkJsonElements } from "../../codec/json-elements.ts";
import { checkMessageElements } from "../../codec/message-elements.ts";
import { CallInflation, canInflate } from "../../transport/http/compression/inflation.ts";
import { countInflated } from "../../transport/http/compression/message-inflation.ts";
import { causedBy } from "./connect-error.ts";

/** The rules for the messages of a body. */
export interface BodyRules {
  /** The largest message, in bytes, before and after decompression. */
  readonly maxBytes: number;
  readonly maxInflationRatio: number;
  /** Returns why no caller is waiting for its messages any longer; undefined while one is. */
  readonly over: () => MicroError | undefined;
  /** The schema of the messages, if known. */
  readonly schema: DescMessage | undefined;
  /** The most elements that a message may have. */
  readonly maxElements: number;
}

/** A body with the header that describes how its messages are encoded. */
export interface ReceivedBody {
  readonly body: AsyncIterable<Uint8Array>;
  readonly header: Headers;
}

/** Bytes before a message: flags and its length (gRPC, gRPC-Web and Connect streams). */
const prefixBytes = 5;
/** The flag of a compressed message. */
const compressedFlag = 1;

/**
 * Messages up to this size have so few elements that it does not matter how they are read, in
 * bytes.
 */
const smallBytes = 1_024;

/**
 * Returns the body of a request as Connect should read it: with the pieces of each
 * message joined, decompressed within limits, and without messages that no caller is waiting for.
 * Connect would traverse the pieces of a message for each further one, decompress whatever arrives,
 * and decode late messages.
 */
export function receiveBody(
  body: AsyncIterable<Uint8Array>,
  header: Headers,
  rules: BodyRules,
): ReceivedBody {
  const type = header.get("content-type") ?? "";
  const isJson = isJsonType(type);
  if (/^application\/(?:connect\+|grpc)/i.test(type)) {
    const algorithm = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
    return { body: new Messages(body, rules, algorithm ?? "", isJson), header };
  }
  if (!/^application\/(?:json|proto)\b/i.test(type)) return { body, header };
  const algorithm = header.get("content-encoding") ?? "";
  const inflates = canInflate(algorithm);
  const announced = header.get("content-length");
  const isSmall = announced !== null && Number(announced) <= smallBytes;
  if (!inflates && isSmall) return { body, header };
  // What the header says about the bytes on the wire does not apply to those that Connect gets.
  const rest = new Headers(header);
  rest.delete("content-length");
  if (inflates) rest.delete("content-encoding");
  const form = { algorithm: inflates ? algorithm : undefined, isJson };
  return { body: singleMessage(body, Number(announced), rules, form), header: rest };
}

/** Whether the messages of a body with this content type are JSON. */
export function isJsonType(contentType: string): boolean {
  return /^application\/(?:[a-z-]+\+)?json\b/i.test(contentType);
}

/** The encoding of a message that is a body of its own. */
interface WholeMessage {
  /** The compression algorithm. */
  readonly algorithm: string | undefined;
  readonly isJson: boolean;
}

/** Reads a body that is one message without a prefix, as in unary Connect calls. */
async function* singleMessage(
  body: AsyncIterable<Uint8Array>,
  announcedBytes: number,
  rules: BodyRules,
  { algorithm, isJson }: WholeMessage,
): AsyncGenerator<Uint8Array> {
  const { maxBytes, maxInflationRatio } = rules;
  if (announcedBytes > maxBytes) throw tooLarge(announcedBytes, maxBytes);
  const held = new GrowingBuffer();
  for await (const piece of body) {
    const bytes = held.length + piece.length;
    if (bytes > maxBytes) throw tooLarge(bytes, maxBytes);
    held.append(piece);
  }
  let message: Uint8Array = held.take();
  try {
    stopWhenOver(rules);
    if (algorithm !== undefined) {
      const inflation = new CallInflation(maxBytes, maxInflationRatio, rules.over);
      message = await inflation.inflate(algorithm, message);
      stopWhenOver(rules);
      countInflated(message, { schema: rules.schema, isJson }, inflation);
    }
    check(message, rules, isJson);
  } catch (reason) {
    throw asConnectError(reason);
  }
  yield message;
}

/** @throws MicroError for a message with too many elements, which Connect would decode */
function check(message: Uint8Array, { schema, maxElements }: BodyRules, isJson: boolean): void {
  if (message.length <= smallBytes) return;
  if (isJson) checkJsonElements(message, maxElements, "a message in JSON");
  else if (schema !== undefined) {
    checkMessageElements(schema, message, 0, message.length, maxElements);
  }
}

function stopWhenOver({ over }: BodyRules): void {
  const reason = over();
  if (reason !== undefined) throw reason;
}

function asConnectError(reason: unknown): unknown {
  return isMicroError(reason) ? causedBy(reason) : reason;
}

function tooLarge(bytes: number, most: number): Error {
  return causedBy(
    new MicroError(
      "resource_exhausted",
      `a message has ${bytes} bytes or more, over the limit of ${most}; send less, send a stream, or raise maxMessageBytes on both sides`,
    ),
  );
}

/**
 * Bytes to pass on: either a message with its prefix that must be checked, or bytes that need no
 * check.
 */
interface Part {
  readonly bytes: Uint8Array;
  readonly isMessage: boolean;
}

/**
 * A body in which each message is preceded by its length. Small, uncompressed messages are passed
 * on as received.
 */
class Messages implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #rules: BodyRules;
  readonly #algorithm: string;
  readonly #isJson: boolean;
  readonly #inflation: CallInflation;
  /** The parts that are ready to be passed on, and how far they were read. */
  #parts: Part[] = [];
  #taken = 0;
  /** The start of a message whose rest has not arrived yet. */
  readonly #held = new GrowingBuffer();
  #ended: IteratorReturnResult<unknown> | undefined;

  constructor(
    body: AsyncIterable<Uint8Array>,
    rules: BodyRules,
    algorithm: string,
    isJson: boolean,
  ) {
    this.#source = body[Symbol.asyncIterator]();
    this.#rules = rules;
    this.#algorithm = algorithm;
    this.#isJson = isJson;
    this.#inflation = new CallInflation(rules.maxBytes, rules.maxInflationRatio, rules.over);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#next();
    } catch (reason) {
      // For the reader, this has already ended.
      this.#source.return?.().catch(() => undefined);
      throw reason;
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const part = this.#parts[this.#taken++];
      if (part !== undefined) {
        return { done: false, value: part.isMessage ? await this.#open(part.bytes) : part.bytes };
      }
      this.#parts = [];
      this.#taken = 0;
      // connect-node's body throws if it is read again after its end.
      if (this.#ended !== undefined) return this.#ended;
      const step = await this.#source.next();
      if (step.done !== true) {
        this.#split(step.value);
        continue;
      }
      this.#ended = step;
      // Connect reports that a message is incomplete.
      return this.#held.length === 0 ? step : { done: false, value: this.#held.take() };
    }
  }

  return(value?: unknown): Promise<IteratorResult<Uint8Array>> {
    return this.#source.return?.(value) ?? Promise.resolve({ done: true, value: undefined });
  }

  throw(reason?: unknown): Promise<IteratorResult<Uint8Array>> {
    return this.#source.throw?.(reason) ?? Promise.reject(reason);
  }

  #split(piece: Uint8Array): void {
    let at = this.#complete(piece);
    let plainFrom = at;
    for (;;) {
      const end = this.#end(piece, at);
      if (end === undefined || end > piece.length) break;
      if (!this.#isPlain(piece, at, end)) {
        this.#pass(piece.subarray(plainFrom, at));
        this.#parts.push({ bytes: piece.subarray(at, end), isMessage: true });
        plainFrom = end;
      }
      at = end;
    }
    this.#pass(piece.subarray(plainFrom, at));
    if (at < piece.length) this.#held.append(piece.subarray(at));
  }

  /** Adds to the buffered start of a message. Returns where the data after the message begins. */
  #complete(piece: Uint8Array): number {
    if (this.#held.length === 0) return 0;
    let at = 0;
    if (this.#held.length < prefixBytes) {
      at = Math.min(prefixBytes - this.#held.length, piece.length);
      this.#held.append(piece.subarray(0, at));
    }
    const size = this.#end(this.#held.bytes, 0);
    if (size === undefined) return at;
    const end = Math.min(at + size - this.#held.length, piece.length);
    this.#held.append(piece.subarray(at, end));
    if (this.#held.length < size) return end;
    const whole = this.#held.take();
    this.#parts.push({ bytes: whole, isMessage: !this.#isPlain(whole, 0, size) });
    return end;
  }

  #pass(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#parts.push({ bytes, isMessage: false });
  }

  /**
   * Returns where the message that begins at `at` ends; undefined if its length has not arrived
   * yet.
   */
  #end(bytes: Uint8Array, at: number): number | undefined {
    if (bytes.length - at < prefixBytes) return undefined;
    const size = sizeAt(bytes, at);
    const { maxBytes } = this.#rules;
    if (size > maxBytes) throw tooLarge(size, maxBytes);
    return at + prefixBytes + size;
  }

  #isPlain(bytes: Uint8Array, start: number, end: number): boolean {
    return end - start - prefixBytes <= smallBytes && (bytes[start]! & compressedFlag) === 0;
  }

  async #open(envelope: Uint8Array): Promise<Uint8Array> {
    const flags = envelope[0]!;
    const isCompressed = (flags & compressedFlag) !== 0;
    try {
      stopWhenOver(this.#rules);
      let message = envelope.subarray(prefixBytes);
      if (isCompressed) {
        // Connect reports an unknown or missing algorithm.
        if (!canInflate(this.#algorithm)) return envelope;
        message = await this.#inflation.inflate(this.#algorithm, message);
        stopWhenOver(this.#rules);
        const form = { schema: this.#rules.schema, isJson: this.#isJson };
        countInflated(message, form, this.#inflation);
      }
      check(message, this.#rules, this.#isJson);
      return isCompressed ? prefixed(flags & ~compressedFlag, message) : envelope;
    } catch (reason) {
      throw asConnectError(reason);
    }
  }
}

function prefixed(flags: number, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(prefixBytes + message.length);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, prefixBytes);
  return bytes;
}

function sizeAt(bytes: Uint8Array, at: number): number {
  return (
    bytes[at + 1]! * 0x100_0000 + ((bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!)
  );
}
