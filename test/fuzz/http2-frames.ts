import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { parseArgs } from "node:util";
import { MicroError } from "@micro-es/runtime";
import { ClientConnection } from "../../runtime/src/transport/http2/client-connection.ts";
import { ConnectionError, errorCode } from "../../runtime/src/transport/http2/error-code.ts";
import { HpackDecoder } from "../../runtime/src/transport/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../runtime/src/transport/http2/hpack/encoder.ts";
import type { HeaderList } from "../../runtime/src/transport/http2/hpack/header-list.ts";
import { defaultHttp2Limits } from "../../runtime/src/transport/http2/limits.ts";
import { ServerConnection } from "../../runtime/src/transport/http2/server-connection.ts";
import type {
  Http2Stream,
  ResetBy,
  StreamHandler,
} from "../../runtime/src/transport/http2/stream.ts";
import type { StreamingConnection } from "../../runtime/src/transport/http2/stream-connection.ts";
import { fields, ok, requestFields } from "../support/http2-peers.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { FuzzFinding } from "./frames.ts";
import { blocks, conversation } from "./http2-conversation.ts";
import { MemorySocket } from "./memory-socket.ts";
import { integer, mutate, pick, type Random, segments } from "./mutation.ts";

export interface Http2FuzzOptions {
  readonly count: number;
  readonly seed: number;
  /** Number of the first input; with a count of 1 it repeats that one. Default 0. */
  readonly from?: number;
  /** Fuzzed in place of the real ones; a test puts broken ones here, which must be found. */
  readonly Server?: typeof ServerConnection;
  readonly Decoder?: typeof HpackDecoder;
}

/** The processor time that one input may take, in milliseconds: more is a hang. */
const hangMs = 2_000;
/** Of so many inputs, one goes to a server and one to a client, and the others to the decoder. */
const perConnection = 8;
const limits = {
  ...defaultHttp2Limits,
  maxConcurrentStreams: 3,
  streamWindowBytes: 1_000,
  connectionWindowBytes: 65_535,
  maxUnreadBytes: 5_000,
};
const hpackLimits = { maxTableBytes: 300, maxListBytes: 2_000, maxFields: 20 };

/**
 * Feeds random conversations to both ends of an HTTP/2 connection, and random header blocks to the
 * decoder.
 *
 * @throws FuzzFinding at the first input that crashes or hangs one, or makes it hold more than it
 * may, or leaves a stream without an end
 */
export async function fuzzHttp2(options: Http2FuzzOptions): Promise<void> {
  const from = options.from ?? 0;
  const { stackTraceLimit } = Error;
  // Most inputs end in an error, and its stack costs more than all the rest.
  if (options.count > 1) Error.stackTraceLimit = 0;
  try {
    for (let index = from; index < from + options.count; index++) {
      const random = seededRandom(options.seed * 1_000_003 + index);
      const kind = index % perConnection;
      const input =
        kind < 2 ? conversation(random, kind === 0) : Buffer.from(mutate(random, blocks));
      const began = process.cpuUsage();
      try {
        if (kind === 0) await fuzzServer(random, input, options.Server ?? ServerConnection);
        else if (kind === 1) await fuzzClient(random, input);
        else fuzzDecoder(random, input, options.Decoder ?? HpackDecoder);
        const { user, system } = process.cpuUsage(began);
        assert.ok(user + system < hangMs * 1_000, `took ${(user + system) / 1_000} ms`);
      } catch (cause) {
        throw new FuzzFinding(index, input, cause);
      }
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * Sets the size of the table to what it is, at the beginning of a block. A decoder then decodes the
 * block, even if it repeats.
 */
const sameTableSize = Buffer.of(0x3f, 0x8d, 0x02);

/**
 * A decoder reads the same from a block that repeats, within its limits, and an encoder can send
 * that again.
 */
function fuzzDecoder(random: Random, input: Buffer, Decoder: typeof HpackDecoder): void {
  const decoder = new Decoder(hpackLimits);
  const forgetful = new HpackDecoder(hpackLimits);
  const encoder = new HpackEncoder();
  const again = new HpackDecoder({ ...hpackLimits, maxTableBytes: 4_096 });
  for (let round = 0; round < 3; round++) {
    const list = decoded(decoder, input);
    const expected = decoded(forgetful, Buffer.concat([sameTableSize, input]));
    assert.deepEqual(list && textOf(list), expected && textOf(expected));
    if (list === undefined) return;
    const bytes = list.fields.reduce((sum, field) => sum + field.size, 0);
    assert.ok(bytes <= hpackLimits.maxListBytes, `a list of ${bytes} bytes`);
    assert.ok(list.fields.length <= hpackLimits.maxFields, `${list.fields.length} fields`);
    if (!list.isValid) continue;
    encoder.allowTableBytes(pick(random, [0, 100, 4_096]));
    const length = encoder.encode(undefined, list.fields);
    const repeated = again.decode(encoder.bytes, 0, length);
    assert.deepEqual(textOf(repeated), textOf(list));
    assert.equal(repeated.isValid, true);
  }
}

/** Returns undefined for a malformed block. */
function decoded(decoder: HpackDecoder, block: Buffer): HeaderList | undefined {
  try {
    return decoder.decode(block, 0, block.length);
  } catch (error) {
    assert.ok(error instanceof ConnectionError, `threw ${error}`);
    assert.equal(error.code, errorCode.compressionError);
    return undefined;
  }
}

function textOf({ fields: lines }: HeaderList): string[] {
  return lines.map(({ name, value }) => `${name}: ${value}`);
}

/** Does anything with a stream, and checks that it gets the required notifications. */
class AnyHandler implements StreamHandler {
  readonly #random: Random;
  /** Streams that have not ended. */
  open = 0;
  readonly #ended = new Set<Http2Stream>();
  readonly #reset = new Set<Http2Stream>();
  unread = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  onHead(stream: Http2Stream): void {
    this.#act(stream);
  }

  onData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    assert.ok(start < end && end <= bytes.length, "data outside its bytes");
    assert.ok(!this.#ended.has(stream) && !this.#reset.has(stream), "data after the end");
    this.#act(stream);
    if (integer(this.#random, 2) === 0) stream.consume(end - start);
  }

  onEnd(stream: Http2Stream): void {
    assert.ok(!this.#ended.has(stream) && !this.#reset.has(stream), "ended twice");
    this.#ended.add(stream);
    this.#act(stream);
  }

  onReset(stream: Http2Stream, _code: number, _by: ResetBy): void {
    assert.ok(!this.#reset.has(stream), "reset twice");
    assert.ok(stream.closed, "reset and still open");
    this.#reset.add(stream);
  }

  onWritable(stream: Http2Stream): void {
    this.#act(stream);
  }

  onDue(): void {}

  #act(stream: Http2Stream): void {
    switch (integer(this.#random, 8)) {
      case 0:
        stream.head(undefined, ok, integer(this.#random, 2) === 0);
        break;
      case 1:
        stream.send(new Uint8Array(500), 0, integer(this.#random, 500), false);
        break;
      case 2:
        stream.send(new Uint8Array(500), 0, integer(this.#random, 500), true);
        break;
      case 3:
        stream.trailers(undefined, fields(["grpc-status", "0"]));
        break;
      case 4:
        stream.reset(errorCode.cancel);
        break;
      default:
    }
  }
}

async function fuzzServer(
  random: Random,
  input: Buffer,
  Server: typeof ServerConnection,
): Promise<void> {
  const socket = new MemorySocket();
  const handler = new AnyHandler(random);
  let violations = 0;
  const server = new Server(socket as unknown as Socket, "fuzz", limits, {
    requested: (stream) => {
      handler.onHead(stream);
      return handler;
    },
    connectionEnded: () => {
      violations++;
    },
  });
  await feed(random, server, socket, input);
  assert.equal(violations, 1, "the end of the connection was not reported once");
}

async function fuzzClient(random: Random, input: Buffer): Promise<void> {
  const socket = new MemorySocket();
  const handler = new AnyHandler(random);
  const client = new ClientConnection(socket as unknown as Socket, "fuzz", limits, {
    connectionEnded: () => undefined,
  });
  for (let count = 0; count < 3; count++) {
    client.request(undefined, requestFields("/a"), integer(random, 2) === 0, handler);
  }
  await feed(random, client, socket, input);
}

/** Passes the input to a connection in pieces, and closes it. */
async function feed(
  random: Random,
  connection: StreamingConnection,
  socket: MemorySocket,
  input: Buffer,
): Promise<void> {
  const mostUnread = limits.maxUnreadBytes + limits.connectionWindowBytes;
  for (const piece of segments(random, input)) {
    socket.emit("data", Buffer.from(piece.buffer, piece.byteOffset, piece.length));
    if (integer(random, 4) === 0) await turn();
    assert.ok(
      connection.openStreams <= limits.maxConcurrentStreams,
      `${connection.openStreams} streams`,
    );
    assert.ok(connection.unreadBytes <= mostUnread, `${connection.unreadBytes} unread bytes`);
    if (connection.ended) break;
  }
  await turn();
  const { closedBy } = connection;
  if (closedBy !== undefined) {
    assert.ok(closedBy instanceof MicroError);
    const { cause } = closedBy;
    const isMistake = cause instanceof ConnectionError && cause.code === errorCode.internalError;
    assert.ok(!isMistake, closedBy.message);
  }
  if (!connection.ended) socket.destroy();
  await turn();
  assert.equal(connection.openStreams, 0, "a stream is still open");
  assert.ok(connection.ended, "the connection is still open");
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      from: { type: "string", default: "0" },
    },
  });
  const [count, seed, from] = [values.count, values.seed, values.from].map(Number);
  const began = performance.now();
  try {
    await fuzzHttp2({ count: count!, seed: seed!, from: from! });
    const seconds = (performance.now() - began) / 1000;
    console.log(
      `${count} inputs from ${from} with seed ${seed}: nothing found in ${seconds.toFixed(1)} s, ` +
        `${Math.round(count! / seconds)} a second, ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB resident`,
    );
  } catch (finding) {
    if (!(finding instanceof FuzzFinding)) throw finding;
    console.error(finding.cause);
    console.error(`repeat with --seed ${seed} --from ${finding.index} --count 1; the input is`);
    console.error(Buffer.from(finding.input).toString("hex"));
    process.exitCode = 1;
  }
}
