import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Answers,
  answering,
  cancellation,
  gate,
  outgoing,
  settled,
  until,
} from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import {
  type Frame,
  frame,
  fromHex,
  greeting,
  methodFrame,
  RawPeer,
  toHex,
} from "../../../../test/support/wire.ts";
import { type Code, codeFromNumber, type MicroError } from "../../base/error.ts";
import { tcpTransport } from "../tcp/transport.ts";
import { defaultLimits, type Listener, type TransportLimits } from "../transport.ts";
import { FrameReader } from "./frame-reader.ts";
import { flag, frameType, maxMethods, preface } from "./protocol.ts";

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

interface Served {
  readonly listener: Listener;
  /** The errors that the listener reported. */
  readonly errors: MicroError[];
  connect(): Promise<RawPeer>;
}

async function serve(answers: Answers, limits: Partial<TransportLimits> = {}): Promise<Served> {
  const errors: MicroError[] = [];
  const listener = await tcpTransport({ ...limits, http: false, goMicro: false }).listen(
    "127.0.0.1:0",
    answering(answers),
    {
      onConnectionError: (error) => errors.push(error),
    },
  );
  open.push(() => listener.close());
  const connect = async () => {
    const peer = await RawPeer.connect(listener.address);
    open.push(() => peer.close());
    return peer;
  };
  return { listener, errors, connect };
}

/** Checks that the listener still responds to well-behaved clients. */
async function expectAlive(served: Served): Promise<void> {
  const channel = await tcpTransport().dial(served.listener.address);
  const answer = await channel.unary(echo.echo, { text: "alive" }, outgoing());
  expect(answer.text).toBe("alive");
  await channel.close();
}

const echoing: Answers = { unary: ({ text }) => ({ text }) };
const hi = fromHex("0a026869");
const wholeRequest = flag.message | flag.end;
const call = (id: number, parts: Partial<Frame> = {}) =>
  frame({ type: frameType.call, flags: wholeRequest, method: 1, call: id, payload: hi, ...parts });
const stream = (id: number, method = 2) =>
  frame({ type: frameType.call, flags: flag.stream, method, call: id });
const introduction = () =>
  Buffer.concat([greeting(), methodFrame(1, echo.echo.name), methodFrame(2, echo.chat.name)]);

/** Counts the RESULT frames of a peer instead of keeping the received bytes. */
function countResults(peer: RawPeer): { results: number; errors: number } {
  const counted = { results: 0, errors: 0 };
  const reader = new FrameReader(
    {
      frame: (type, flags) => {
        if (type !== frameType.result) return;
        counted.results++;
        if ((flags & flag.error) !== 0) counted.errors++;
      },
    },
    defaultLimits.maxMessageBytes,
  );
  let skip = preface.length;
  peer.socket.removeAllListeners("data");
  peer.socket.on("data", (chunk) => {
    const skipped = Math.min(skip, chunk.length);
    skip -= skipped;
    reader.push(Uint8Array.from(chunk.subarray(skipped)));
  });
  return counted;
}

describe("bytes that are not the native protocol", () => {
  const strangers: Record<string, { bytes: Uint8Array; code?: Code; answer?: RegExp }> = {
    "an HTTP request": {
      bytes: Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      code: "unimplemented",
      answer: /^HTTP\/1\.1 501 [\s\S]*HTTP is switched off/,
    },
    "an HTTP/2 preface": {
      bytes: Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      code: "unimplemented",
      answer: /HTTP is switched off/,
    },
    "a TLS hello": { bytes: fromHex("16030100c8010000c40303"), code: "unimplemented" },
    zeros: { bytes: new Uint8Array(1000) },
    "a preface with a reserved bit": { bytes: fromHex("b54d455301000001") },
  };
  for (const [name, { bytes, code = "invalid_argument", answer }] of Object.entries(strangers)) {
    const told = answer === undefined ? "no response" : "a response in its own protocol";
    test(`${name} closes the connection with a reported error and ${told}`, async () => {
      const served = await serve(echoing);
      const { address } = served.listener;
      const socket = connect({ host: "127.0.0.1", port: Number(address.split(":")[1]) });
      socket.write(bytes);
      const received = await text(socket);
      expect(served.errors.map((error) => error.code)).toEqual([code]);
      expect(received).toMatch(answer ?? /^$/);
      await expectAlive(served);
    });
  }

  test("another version gets an error that names this one", async () => {
    const served = await serve(echoing);
    const peer = await served.connect();
    peer.send(fromHex("b54d455302000000"));
    await until(() => peer.closed);
    expect(toHex(peer.received.subarray(0, 8))).toBe(toHex(preface));
    expect(peer.frames.map((each) => [each.type, codeFromNumber(each.aux!)])).toEqual([
      [frameType.goaway, "unimplemented"],
    ]);
    expect(served.errors.length).toBe(1);
  });

  test("silence, a partial preface and a preface without HELLO end with the handshake timeout", async () => {
    const served = await serve(echoing, { handshakeTimeoutMs: 60 });
    const peers = await Promise.all([served.connect(), served.connect(), served.connect()]);
    peers[1]!.send(preface.subarray(0, 5));
    peers[2]!.send(preface);
    await until(() => peers.every((peer) => peer.closed));
    expect(served.errors.map((error) => error.code)).toEqual(Array(3).fill("deadline_exceeded"));
    expect(served.listener.connections).toBe(0);
    await expectAlive(served);
  });
});

describe("frames that violate the protocol", () => {
  const header = (parts: Frame, length: number) => {
    const bytes = Buffer.from(frame(parts));
    bytes.writeUInt32BE(length, 0);
    return bytes;
  };
  const hello = (hex: string) =>
    Buffer.concat([preface, frame({ type: frameType.hello, payload: fromHex(hex) })]);
  const afterIntroduction: Record<string, Uint8Array> = {
    "a frame of 4 GiB": header({ type: frameType.call, method: 1, call: 1 }, 2 ** 32 - 1),
    "a frame one byte over the limit": header(
      { type: frameType.call, method: 1, call: 1 },
      4 * 1024 * 1024 + 81_920 + 1,
    ),
    "an unknown type": frame({ type: 0x33 }),
    "a second HELLO": greeting().subarray(8),
    "a RESULT of a client": frame({ type: frameType.result, call: 1 }),
    "HEADERS of a client": frame({ type: frameType.headers, call: 1 }),
    "flags that a type cannot have": frame({ type: frameType.end, call: 1, flags: 0x40 }),
    "a call without a number": call(0),
    "two calls with one number": Buffer.concat([stream(1), stream(1)]),
    "a method number without a name": call(1, { method: 9 }),
    "a method number given twice": methodFrame(1, "a.B/C"),
    "method number 0": methodFrame(0, "a.B/C"),
    "a method without a name": methodFrame(3, ""),
    "a method name with a line break": methodFrame(3, "a.B/C\r\nx: y"),
    "a content type longer than its frame": frame({
      type: frameType.method,
      method: 3,
      payload: fromHex("ff6162"),
    }),
    "a unary call without a message": call(1, { flags: flag.end, payload: new Uint8Array() }),
    "bytes where there is no message": frame({
      type: frameType.call,
      flags: flag.stream,
      method: 2,
      call: 1,
      payload: hi,
    }),
    "metadata that is cut off": call(1, {
      flags: wholeRequest | flag.metadata,
      payload: fromHex("ffff00"),
    }),
    "credit of nothing": frame({ type: frameType.credit, call: 1, aux: 0 }),
    "credit without measure": frame({ type: frameType.credit, call: 1, aux: 2 ** 31 }),
    "a flood of method names": Buffer.concat(
      Array.from({ length: maxMethods + 1 }, (_, index) => methodFrame(index + 3, `a.B/C${index}`)),
    ),
  };
  for (const [name, bytes] of Object.entries(afterIntroduction)) {
    test(`${name} ends the connection, with an error that says why`, async () => {
      const served = await serve({ ...echoing, stream: (requests) => drained(requests) });
      const peer = await served.connect();
      peer.send(introduction(), bytes);
      await until(() => peer.closed);
      expect(peer.frames.at(-1)?.type).toBe(frameType.goaway);
      expect(served.errors.length).toBe(1);
      const text = Buffer.from(peer.frames.at(-1)!.payload!).toString();
      expect(text).toBe(served.errors[0]!.message);
      await until(() => served.listener.openCalls === 0);
      await expectAlive(served);
    });
  }

  const instead: Record<string, Uint8Array> = {
    "a frame before HELLO": Buffer.concat([preface, frame({ type: frameType.ping })]),
    "a HELLO that is cut off": hello("0001000100"),
    "a HELLO with a limit of 0": hello("000100000000"),
    "a HELLO with a setting twice": hello("000100000001000100000001"),
    "a HELLO of a megabyte": Buffer.concat([preface, header({ type: frameType.hello }, 1_000_000)]),
  };
  for (const [name, bytes] of Object.entries(instead)) {
    test(`${name} ends the connection`, async () => {
      const served = await serve(echoing);
      const peer = await served.connect();
      peer.send(bytes);
      await until(() => peer.closed);
      expect(served.errors.length).toBe(1);
      await expectAlive(served);
    });
  }

  test("a message to a unary call ends the connection and cancels the call", async () => {
    let cancelled = false;
    const served = await serve({
      unary: (_request, incoming) => {
        cancellation(incoming).then(() => {
          cancelled = true;
        });
        return new Promise(() => undefined);
      },
    });
    const peer = await served.connect();
    peer.send(introduction(), call(1), frame({ type: frameType.message, call: 1, payload: hi }));
    await until(() => peer.closed && cancelled);
    expect(served.listener.openCalls).toBe(0);
  });

  test("messages beyond the credit end the connection", async () => {
    const served = await serve(
      {
        async *stream() {
          await new Promise(() => undefined);
          yield {};
        },
      },
      { streamWindowBytes: 1000 },
    );
    const peer = await served.connect();
    const message = frame({ type: frameType.message, call: 1, payload: hi });
    // Each costs 68 of the window, so the fifteenth still has credit.
    peer.send(introduction(), stream(1), ...Array.from({ length: 15 }, () => message));
    await until(() => served.listener.openCalls === 1);
    peer.send(frame({ type: frameType.ping, aux: 1 }));
    await until(() => peer.ofType(frameType.pong).length === 1);
    peer.send(message);
    await until(() => peer.closed);
    expect(served.errors.map((error) => error.code)).toEqual(["resource_exhausted"]);
  });
});

describe("frames that cost a call and not the connection", () => {
  test("calls of an unknown method are refused", async () => {
    const served = await serve(echoing);
    const peer = await served.connect();
    peer.send(introduction(), methodFrame(3, "a.B/C"), call(1, { method: 3 }), call(2));
    await until(() => peer.ofType(frameType.result).length === 2);
    expect(peer.ofType(frameType.result).map((each) => [each.call, each.method])).toEqual([
      [1, 0x010c],
      [2, 0],
    ]);
  });

  test("a message over the limit is refused, and the next one is handled", async () => {
    const served = await serve(echoing, { maxMessageBytes: 1000 });
    const peer = await served.connect();
    peer.send(introduction(), call(1, { payload: new Uint8Array(60_000) }), call(2));
    await until(() => peer.ofType(frameType.result).length === 2);
    expect(peer.ofType(frameType.result).map((each) => [each.call, each.method])).toEqual([
      [1, 0x0108],
      [2, 0],
    ]);
    expect(served.errors).toEqual([]);
  });

  test("frames of calls that are not open are skipped", async () => {
    const served = await serve(echoing);
    const peer = await served.connect();
    const late = [frameType.message, frameType.end, frameType.cancel, frameType.credit];
    peer.send(
      introduction(),
      ...late.map((type) => frame({ type, call: 77, aux: 1 })),
      call(1),
      ...late.map((type) => frame({ type, call: 1, aux: 1 })).slice(2),
    );
    await until(() => peer.ofType(frameType.result).length === 1);
    await expectAlive(served);
    expect(peer.closed).toBe(false);
  });

  test("metadata that does not decode fails the handler that reads it", async () => {
    const served = await serve({
      unary: (request, incoming) => {
        if (request.text === "hi") incoming.requestMetadata.get("x");
        return {};
      },
    });
    const peer = await served.connect();
    const malformed = Buffer.concat([fromHex("0003ff0000"), hi]);
    peer.send(
      introduction(),
      call(1, { flags: wholeRequest | flag.metadata, payload: malformed }),
      call(2, { payload: new Uint8Array() }),
    );
    await until(() => peer.ofType(frameType.result).length === 2);
    expect(peer.ofType(frameType.result).map((each) => each.method! & 0xff)).toEqual([3, 0]);
  });

  test("five thousand calls opened and cancelled at once leave nothing behind", async () => {
    let cancelled = 0;
    const served = await serve({
      unary: (_request, incoming) => {
        cancellation(incoming).then(() => cancelled++);
        return new Promise(() => undefined);
      },
    });
    const peer = await served.connect();
    peer.send(introduction());
    for (let id = 1; id <= 5_000; id++) {
      peer.send(call(id), frame({ type: frameType.cancel, call: id, aux: 1 }));
    }
    await until(() => cancelled === 5_000);
    expect(served.listener.openCalls).toBe(0);
  });

  test("a call is ended when the unread messages of its connection pass the bound", async () => {
    const served = await serve(
      {
        async *stream() {
          await new Promise(() => undefined);
          yield {};
        },
      },
      // The limit is four messages, because that is more than 1,024 windows.
      { streamWindowBytes: 1, maxMessageBytes: 70_000 },
    );
    const peer = await served.connect();
    const large = echo.chat.input.encode({ payload: new Uint8Array(69_980) });
    peer.send(introduction());
    for (let id = 1; id <= 4; id++) {
      peer.send(stream(id), frame({ type: frameType.message, call: id, payload: large }));
    }
    await until(() => peer.ofType(frameType.result).length === 1);
    expect(peer.ofType(frameType.result)[0]).toMatchObject({ call: 4, method: 0x0008 });
    expect(served.listener.openCalls).toBe(3);
  });
});

describe("peers that disconnect", () => {
  test("a partial frame and then FIN cancels open calls", async () => {
    let cancelled = false;
    const served = await serve({
      unary: (_request, incoming) => {
        cancellation(incoming).then(() => {
          cancelled = true;
        });
        return new Promise(() => undefined);
      },
    });
    const peer = await served.connect();
    peer.send(introduction(), call(1), call(2).subarray(0, 17));
    await until(() => served.listener.openCalls === 1);
    peer.socket.end();
    await until(() => cancelled && served.listener.connections === 0);
    expect(served.listener.openCalls).toBe(0);
  });

  test("a reset cancels open calls", async () => {
    const served = await serve({ unary: () => new Promise(() => undefined) });
    const peer = await served.connect();
    peer.send(introduction(), call(1));
    await until(() => served.listener.openCalls === 1);
    peer.socket.resetAndDestroy();
    await until(() => served.listener.connections === 0);
    expect(served.listener.openCalls).toBe(0);
  });

  test("a partial frame and then silence ends with the keepalive, after an unacknowledged PING", async () => {
    const served = await serve(echoing, { keepaliveIntervalMs: 60, keepaliveTimeoutMs: 60 });
    const peer = await served.connect();
    peer.send(introduction(), call(1).subarray(0, 17));
    await until(() => peer.closed);
    expect(peer.ofType(frameType.ping).length).toBe(1);
    expect(served.errors.map((error) => error.code)).toEqual(["unavailable"]);
  });

  test("a frame that is never completed ends the connection, however often bytes of it arrive", async () => {
    const served = await serve(
      { unary: ({ text }) => (text === "hi" ? new Promise(() => undefined) : { text }) },
      { handshakeTimeoutMs: 200 },
    );
    const peer = await served.connect();
    const large = frame({
      type: frameType.call,
      flags: wholeRequest,
      method: 1,
      call: 2,
      payload: new Uint8Array(4_194_304),
    });
    peer.send(introduction(), call(1), large.subarray(0, 17));
    const dripping = setInterval(() => peer.socket.write("a"), 20);
    open.push(() => clearInterval(dripping));
    await until(() => peer.closed);
    expect(Buffer.from(peer.ofType(frameType.goaway)[0]!.payload!).toString()).toMatch(
      /received \d+ of the 4194304 bytes of a frame/,
    );
    expect(served.errors.map((error) => error.code)).toEqual(["deadline_exceeded"]);
    expect(served.listener.openCalls).toBe(0);
    await expectAlive(served);
  });

  test("a frame that may be ignored has the same deadline", async () => {
    const served = await serve(echoing, { handshakeTimeoutMs: 200 });
    const peer = await served.connect();
    peer.send(
      introduction(),
      frame({ type: 0x81, payload: new Uint8Array(500_000) }).subarray(0, 40),
    );
    await until(() => peer.closed);
    expect(served.errors.map((error) => error.code)).toEqual(["deadline_exceeded"]);
  });

  test("a peer that acknowledges PING stays", async () => {
    const served = await serve(echoing, { keepaliveIntervalMs: 30, keepaliveTimeoutMs: 200 });
    const peer = await served.connect();
    peer.send(introduction());
    for (let pings = 1; pings <= 5; pings++) {
      await until(() => peer.ofType(frameType.ping).length >= pings);
      peer.send(frame({ type: frameType.pong }));
    }
    expect(peer.closed).toBe(false);
    expect(served.errors).toEqual([]);
  });

  test("a peer that reads no responses gets few computed of concurrent calls, and all later", async () => {
    let executed = 0;
    const payload = new Uint8Array(1024 * 1024);
    const { connect } = await serve({
      unary: async () => {
        executed++;
        return { payload };
      },
    });
    const peer = await connect();
    const received = countResults(peer);
    peer.socket.pause();
    const calls = Array.from({ length: 500 }, (_, index) => call(index + 1));
    peer.send(introduction(), ...calls);
    await until(() => executed > 0);
    expect(await settled(() => executed)).toBeLessThan(150);
    peer.socket.resume();
    await until(() => received.results === 500);
    expect([executed, received.errors]).toEqual([500, 0]);
  });

  test("a peer that reads no responses gets errors for those beyond the limit of a connection", async () => {
    const finish = gate();
    let open = 0;
    const payload = new Uint8Array(1024 * 1024);
    const { connect } = await serve({
      unary: async () => {
        open++;
        await finish.promise;
        return { payload };
      },
    });
    const peer = await connect();
    const received = countResults(peer);
    peer.send(introduction(), ...Array.from({ length: 120 }, (_, index) => call(index + 1)));
    await until(() => open === 120);
    peer.socket.pause();
    finish.open();
    await settled(() => peer.socket.bytesRead);
    peer.socket.resume();
    await until(() => received.results === 120);
    expect(received.errors).toBeGreaterThan(10);
    expect(received.errors).toBeLessThan(60);
  });

  test("a peer that reads no responses is no longer read, and ends with the keepalive", async () => {
    let executed = 0;
    const served = await serve(
      {
        unary: () => {
          executed++;
          return { payload: new Uint8Array(200_000) };
        },
      },
      { keepaliveIntervalMs: 100, keepaliveTimeoutMs: 100 },
    );
    const peer = await served.connect();
    peer.send(introduction());
    await until(() => peer.frames.length > 0);
    peer.socket.pause();
    const calls = Array.from({ length: 50 }, (_, id) => call(id + 1, { payload: hi }));
    for (let round = 0; round < 40; round++) {
      peer.send(...calls.map((bytes, index) => renumbered(bytes, round * 50 + index + 1)));
    }
    await until(() => served.listener.connections === 0);
    // A megabyte of the server's own, plus the kernel's buffers; two thousand responses are 400 MB.
    expect(executed).toBeLessThan(400);
    expect(served.errors.map((error) => error.code)).toEqual(["unavailable"]);
  });
});

/** Reads the requests, and responds with nothing. */
async function* drained(requests: AsyncIterable<unknown>): AsyncGenerator<never> {
  for await (const _ of requests);
  yield* [];
}

function renumbered(bytes: Uint8Array, id: number): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.writeUInt32BE(id, 8);
  return copy;
}
