import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { parseArgs } from "node:util";
import { type AnyMethod, MicroError } from "@micro-es/runtime";
import type { Dispatcher } from "@micro-es/runtime/driver";
import { ClientConnection } from "../../runtime/src/transport/native/client-connection.ts";
import { type FrameHandler, FrameReader } from "../../runtime/src/transport/native/frame-reader.ts";
import {
  frameType,
  headerBytes,
  maxOverheadBytes,
  minMessageBytes,
} from "../../runtime/src/transport/native/protocol.ts";
import { ServerConnection } from "../../runtime/src/transport/native/server-connection.ts";
import { defaultLimits } from "../../runtime/src/transport/transport.ts";
import { outgoing } from "../contract/transport-fixture.ts";
import type { EchoRequest } from "../gen/micro/test/v1/echo_pb.ts";
import { echo } from "../support/echo.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { frame, greeting, methodFrame, wireVectors } from "../support/wire.ts";
import { MemorySocket } from "./memory-socket.ts";
import { integer, mutate, pick, type Random, segments } from "./mutation.ts";

/** The code that is fuzzed; a test replaces it with broken versions, which must be detected. */
export interface FuzzTargets {
  readonly createReader?: (handler: FrameHandler, maxMessageBytes: number) => ReaderUnderTest;
  readonly Server?: typeof ServerConnection;
}

type ReaderUnderTest = Pick<FrameReader, "push" | "bufferedBytes" | "atBoundary" | "room">;

export interface FuzzOptions extends FuzzTargets {
  readonly count: number;
  readonly seed: number;
  /** Number of the first input; with a count of 1 it repeats that one. Default 0. */
  readonly from?: number;
}

/** An input that broke a promise. */
export class FuzzFinding extends Error {
  readonly input: Uint8Array;
  readonly index: number;

  constructor(index: number, input: Uint8Array, cause: unknown) {
    super(`input ${index}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.index = index;
    this.input = input;
  }
}

/**
 * The processor time that one input may take, in milliseconds: more is a hang, however busy the
 * machine is.
 */
const hangMs = 2_000;
/** Of so many inputs one goes to a whole connection, and the others to the parser alone. */
const perConnection = 20;
const limits = { ...defaultLimits, maxMessageBytes: 100_000, maxConcurrentCalls: 20 };
const hi = Uint8Array.of(0x0a, 2, 0x68, 0x69);

/**
 * Feeds mutated byte streams to the frame parser, and to both ends of a connection.
 * @throws FuzzFinding at the first input that crashes or hangs one, or makes it hold more than it
 * may.
 */
export async function fuzzFrames(options: FuzzOptions): Promise<void> {
  const vectors = wireVectors();
  const exchange = vectors.find((vector) => vector.name === "exchange")!.exchange;
  const bodies = vectors.filter((vector) => vector.meaning !== undefined).map(({ bytes }) => bytes);
  const requests = [
    ...conversations(),
    Buffer.concat(exchange.filter((part) => part.from === "client").map((part) => part.bytes)),
  ];
  const answers = [
    Buffer.concat(exchange.filter((part) => part.from === "server").map((part) => part.bytes)),
    ...bodies.map((body) => Buffer.concat([greeting(), body])),
  ];
  const from = options.from ?? 0;
  const { stackTraceLimit } = Error;
  // Most inputs end in an error, and its stack costs more than all the rest. A single input keeps
  // it.
  if (options.count > 1) Error.stackTraceLimit = 0;
  try {
    for (let index = from; index < from + options.count; index++) {
      // Each input has chance of its own, so that it can be repeated alone.
      const random = seededRandom(options.seed * 1_000_003 + index);
      const kind = index % perConnection;
      const corpus = kind === 0 ? requests : kind === 1 ? answers : bodies;
      const input = mutate(random, corpus);
      const began = process.cpuUsage();
      try {
        if (kind === 0) await fuzzServer(random, input, options.Server ?? ServerConnection);
        else if (kind === 1) await fuzzClient(random, input);
        else fuzzReader(random, input, options);
        const { user, system } = process.cpuUsage(began);
        const tookMs = (user + system) / 1_000;
        assert.ok(tookMs < hangMs, `took ${tookMs} ms`);
      } catch (cause) {
        throw new FuzzFinding(index, input, cause);
      }
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** A frame whose payload is worth being read into its place. */
const large = frame({
  type: frameType.message,
  call: 1,
  payload: new Uint8Array(12_000).map((_, at) => at * at),
});

/** The parser gives the same frames whatever the segments, and holds no more than it may. */
function fuzzReader(random: Random, small: Uint8Array, targets: FuzzTargets): void {
  const input = integer(random, 40) === 0 ? Buffer.concat([large, small]) : small;
  const whole = read([input], targets);
  const split = read(segments(random, input), targets);
  assert.equal(split, whole);
  const placed = read(segments(random, input), targets, placeAndPush);
  assert.equal(placed, whole);
}

/** Reads as a client's socket does: into the payload itself where the reader has room for it. */
function placeAndPush(reader: ReaderUnderTest, piece: Uint8Array): void {
  for (let at = 0; at < piece.length; ) {
    const { room } = reader;
    const part = piece.subarray(at, room === undefined ? undefined : at + room.length);
    at += part.length;
    if (room === undefined) {
      reader.push(part);
    } else {
      room.set(part);
      reader.push(new Uint8Array(room.buffer, room.byteOffset, part.length));
    }
  }
}

function push(reader: ReaderUnderTest, piece: Uint8Array): void {
  reader.push(piece);
}

/** What a reader gives, in words. */
function read(
  pieces: readonly Uint8Array[],
  { createReader }: FuzzTargets,
  give: (reader: ReaderUnderTest, piece: Uint8Array) => void = push,
): string {
  const maxPayload = Math.max(limits.maxMessageBytes, minMessageBytes) + maxOverheadBytes;
  const frames: string[] = [];
  const handler: FrameHandler = {
    frame(type, flags, method, call, aux, bytes, start, end) {
      assert.ok(start >= 0 && start <= end && end <= bytes.length, "a payload outside its bytes");
      assert.ok(end - start <= maxPayload, "a payload over the limit");
      let sum = 7;
      for (let at = start; at < end; at++) sum = (sum * 31 + bytes[at]!) | 0;
      frames.push(`${type} ${flags} ${method} ${call} ${aux} ${end - start} ${sum}`);
    },
  };
  const reader =
    createReader?.(handler, limits.maxMessageBytes) ??
    new FrameReader(handler, limits.maxMessageBytes);
  let error: string | undefined;
  for (const piece of pieces) {
    try {
      give(reader, piece);
    } catch (reason) {
      assert.ok(reason instanceof MicroError, `threw ${String(reason)}`);
      error = reason.message;
      break;
    }
    assert.ok(
      reader.bufferedBytes <= maxPayload + headerBytes,
      `holds ${reader.bufferedBytes} bytes, over its limit of ${maxPayload}`,
    );
  }
  return `${frames.join("\n")}\n${error}`;
}

/** A server answers, refuses or closes, and has nothing left when the connection is closed. */
async function fuzzServer(
  random: Random,
  input: Uint8Array,
  Server: typeof ServerConnection,
): Promise<void> {
  const socket = new MemorySocket();
  const dispatcher = new AnyAnswer(random);
  let reported: MicroError | undefined;
  const server = new Server(
    socket as unknown as Socket,
    { address: "fuzz", transport: "tcp" },
    limits,
    {
      address: "fuzz",
      dispatcher,
      draining: integer(random, 50) === 0,
      callEnded: () => undefined,
      connectionEnded: (_connection, reason) => {
        reported = reason;
      },
    },
  );
  for (const piece of segments(random, input)) {
    socket.emit("data", piece);
    if (integer(random, 4) === 0) await turn();
    assert.ok(server.openCalls <= limits.maxConcurrentCalls, `${server.openCalls} open calls`);
    assert.ok(server.unreadBytes <= server.maxUnreadBytes, `${server.unreadBytes} unread bytes`);
    if (server.ended) break;
  }
  await turn();
  if (!server.ended) socket.destroy();
  await turn();
  // Any other value that was thrown by mistake becomes a MicroError with this code.
  assert.notEqual(reported?.code, "internal", reported?.stack);
  assert.equal(server.openCalls, 0);
  assert.equal(dispatcher.running, 0, "a handler still waits, and was not cancelled");
  assert.equal(server.unreadBytes, 0);
}

/** A client's calls all end, whatever the server says. */
async function fuzzClient(random: Random, input: Uint8Array): Promise<void> {
  const socket = new MemorySocket();
  const client = new ClientConnection(socket as unknown as Socket, "fuzz", limits);
  client.greet();
  client.ready.catch(() => undefined);
  let open = 0;
  const ended = (reason?: unknown) => {
    open--;
    assert.ok(reason === undefined || reason instanceof MicroError, `failed with ${reason}`);
  };
  for (let calls = 0; calls < 3; calls++) {
    open += 2;
    client.unary(echo.echo, { text: "hi" }, outgoing()).then(() => ended(), ended);
    const answers = client.stream(echo.chat, [{ text: "a" }, { text: "b" }], outgoing());
    readAll(answers).then(() => ended(), ended);
  }
  for (const piece of segments(random, input)) {
    socket.emit("data", piece);
    if (integer(random, 4) === 0) await turn();
    assert.ok(client.unreadBytes <= client.maxUnreadBytes, `${client.unreadBytes} unread bytes`);
    if (client.ended) break;
  }
  await turn();
  assert.notEqual(client.closedBy?.code, "internal", client.closedBy?.stack);
  if (!client.ended) socket.destroy();
  await turn();
  assert.equal(client.openCalls, 0);
  assert.equal(open, 0, "a call has not ended");
  assert.equal(client.unreadBytes, 0);
}

/** Whole conversations of a client, as a corpus. */
function conversations(): Uint8Array[] {
  const names = Object.values(echo).map((method, index) => methodFrame(index + 1, method.name));
  const unary = frame({ type: 3, flags: 5, method: 1, call: 1, aux: 50, payload: hi });
  const stream = frame({ type: 3, flags: 8, method: 5, call: 2 });
  const message = frame({ type: 4, call: 2, payload: hi });
  const large = frame({ type: 4, call: 2, payload: new Uint8Array(3000) });
  const end = frame({ type: 5, call: 2 });
  const cancel = frame({ type: 8, call: 2, aux: 1 });
  const credit = frame({ type: 9, call: 2, aux: 70_000 });
  const metadata = Buffer.concat([Uint8Array.of(0, 6, 0, 1, 0x78, 0, 1, 0x79), hi]);
  const rich = frame({ type: 3, flags: 7, method: 2, call: 3, payload: metadata });
  const begin = [greeting(), ...names];
  return [
    [unary, rich],
    [stream, message, message, end, credit],
    [stream, message, cancel, message],
    [stream, ...Array.from({ length: 40 }, () => large)],
    [frame({ type: 3, flags: 13, method: 3, call: 4, payload: hi }), unary, unary],
    [frame({ type: 10, aux: 9 }), frame({ type: 11 }), frame({ type: 0x90, payload: hi }), unary],
    Array.from({ length: 30 }, (_, call) =>
      frame({ type: 3, flags: 8, method: 5, call: call + 1 }),
    ),
  ].map((frames) => Buffer.concat([...begin, ...frames]));
}

/**
 * Responds in all ways: at once, later, never, with an error; counts handlers that were not
 * cancelled.
 */
class AnyAnswer implements Dispatcher {
  running = 0;
  readonly #random: Random;
  readonly #methods = new Map<string, AnyMethod>(
    Object.values(echo).map((method) => [method.name, method]),
  );

  constructor(random: Random) {
    this.#random = random;
  }

  method(name: string): AnyMethod | undefined {
    return this.#methods.get(name);
  }

  unary(call: Parameters<Dispatcher["unary"]>[0], request: unknown): unknown {
    const { text } = request as EchoRequest;
    switch (pick(this.#random, ["now", "later", "never", "error", "wrong"])) {
      case "now":
        return { text, payload: call.requestMetadata.getBinary("x-bin") ?? new Uint8Array() };
      case "later":
        return Promise.resolve({ text });
      case "error":
        throw new MicroError("aborted", text.slice(0, 50));
      case "wrong":
        return { index: "one" };
      default:
        this.running++;
        call.signal.addEventListener("abort", () => this.running--, { once: true });
        return new Promise(() => undefined);
    }
  }

  async *stream(
    _call: Parameters<Dispatcher["stream"]>[0],
    requests: AsyncIterable<unknown>,
  ): AsyncGenerator<unknown> {
    if (pick(this.#random, [true, false, false])) return;
    this.running++;
    try {
      for await (const request of requests) yield { text: (request as EchoRequest).text };
    } finally {
      this.running--;
    }
  }
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
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
    await fuzzFrames({ count: count!, seed: seed!, from: from! });
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
