import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { all, failure, outgoing, until } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import { type Frame, frame, fromHex, greeting, RawPeer } from "../../../../test/support/wire.ts";
import { deadlineAfter } from "../../base/deadline.ts";
import { tcpTransport } from "../tcp/transport.ts";
import type { Channel, TransportLimits } from "../transport.ts";
import { flag, frameType, preface } from "./protocol.ts";

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Starts a server with scripted behavior. */
async function rawServer(
  accept: (peer: RawPeer) => void,
): Promise<{ address: string; server: Server }> {
  const server = createServer((socket) => {
    const peer = new RawPeer(socket);
    open.push(() => peer.close());
    accept(peer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => server.close(() => resolve())));
  const { port } = server.address() as { port: number };
  return { address: `127.0.0.1:${port}`, server };
}

/** Opens a channel to a server that sends HELLO, and then responds to each frame as scripted. */
async function channelTo(
  answer: (received: Frame, peer: RawPeer) => void,
  limits: Partial<TransportLimits> = {},
): Promise<Channel> {
  const { address } = await rawServer((peer) => {
    peer.send(greeting());
    peer.collector.onFrame = (received) => answer(received, peer);
  });
  const channel = await tcpTransport(limits).dial(address);
  open.push(() => channel.close());
  return channel;
}

const onCall =
  (answer: (id: number, peer: RawPeer) => void) =>
  ({ type, call }: Frame, peer: RawPeer) => {
    if (type === frameType.call) answer(call!, peer);
  };
const hi = fromHex("0a026869");
const result = (call: number, parts: Partial<Frame> = {}) =>
  frame({ type: frameType.result, flags: flag.message, call, payload: hi, ...parts });

test("dialling another protocol fails clearly", async () => {
  const strangers = [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), new Uint8Array(20)];
  for (const bytes of strangers) {
    const { address } = await rawServer((peer) => peer.send(bytes));
    const error = await failure(tcpTransport().dial(address), "unavailable", "not-executed");
    expect(error.message).toContain(address);
    expect(error.message).toContain("does not speak the native protocol");
  }
});

test("dialling a silent peer ends with the handshake timeout, the deadline or the signal", async () => {
  const { address } = await rawServer(() => undefined);
  const transport = tcpTransport({ handshakeTimeoutMs: 50 });
  await failure(transport.dial(address), "unavailable", "not-executed");
  const deadline = deadlineAfter(30);
  await failure(tcpTransport().dial(address, { deadline }), "deadline_exceeded", "not-executed");
  const controller = new AbortController();
  const dialling = tcpTransport().dial(address, { signal: controller.signal });
  controller.abort();
  await failure(dialling, "canceled", "not-executed");
});

test("dialling a peer that hangs up fails clearly", async () => {
  const { address } = await rawServer((peer) => peer.socket.end(preface));
  await failure(tcpTransport().dial(address), "unavailable", "not-executed");
});

test("a connection cut during a call leaves its outcome unknown", async () => {
  for (const cut of ["end", "resetAndDestroy"] as const) {
    const channel = await channelTo(onCall((_id, peer) => peer.socket[cut]()));
    await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "unknown");
    expect((await channel.closed)?.code).toBe("unavailable");
    expect(channel.state).toBe("closed");
    await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "not-executed");
  }
});

test("a stream that is cut delivers the received messages, and then the error", async () => {
  const channel = await channelTo(
    onCall((call, peer) => {
      peer.send(frame({ type: frameType.message, call, payload: hi }));
      peer.socket.end();
    }),
  );
  const answers = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  await until(() => channel.state === "closed" || channel.openCalls === 0);
  expect((await answers.next()).value?.text).toBe("hi");
  await failure(answers.next(), "unavailable", "unknown");
});

test("GOAWAY lets the open call end, takes no other, and then closes the channel", async () => {
  const channel = await channelTo(
    onCall((call, peer) => {
      peer.send(frame({ type: frameType.goaway }));
      setImmediate(() => peer.send(result(call)));
    }),
  );
  const call = channel.unary(echo.once, {}, outgoing());
  await until(() => channel.state === "draining");
  await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "not-executed");
  expect((await call).text).toBe("hi");
  expect((await channel.closed)?.code).toBe("unavailable");
});

test("GOAWAY with a code ends the channel with that error", async () => {
  const text = Buffer.from("enough of you");
  const channel = await channelTo(
    onCall((_call, peer) => peer.send(frame({ type: frameType.goaway, aux: 8, payload: text }))),
  );
  const call = channel.unary(echo.once, {}, outgoing());
  const error = await failure(call, "unavailable", "unknown");
  expect(error.message).toContain("resource_exhausted: enough of you");
});

test("a server that does not acknowledge PING is disconnected", async () => {
  const channel = await channelTo(() => undefined, {
    keepaliveIntervalMs: 40,
    keepaliveTimeoutMs: 40,
  });
  await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "unknown");
  expect((await channel.closed)?.message).toContain("PING");
});

test("a response that cannot be read fails its call, and the channel stays usable", async () => {
  const answers = [
    result(1, { payload: fromHex("0aff") }),
    result(2, { flags: 0, payload: new Uint8Array() }),
    result(3, { payload: new Uint8Array(70_000) }),
    result(4),
  ];
  const channel = await channelTo(
    onCall((call, peer) => peer.send(answers[call - 1]!)),
    { maxMessageBytes: 65_536 },
  );
  await failure(channel.unary(echo.once, {}, outgoing()), "internal", "executed");
  await failure(channel.unary(echo.once, {}, outgoing()), "internal", "executed");
  await failure(channel.unary(echo.once, {}, outgoing()), "resource_exhausted", "executed");
  expect((await channel.unary(echo.once, {}, outgoing())).text).toBe("hi");
});

test("unknown codes and outcomes of a server are read as unknown", async () => {
  const channel = await channelTo(
    onCall((call, peer) =>
      peer.send(result(call, { flags: flag.error, method: 0x09ff, payload: fromHex("0001 78") })),
    ),
  );
  const error = await failure(channel.unary(echo.once, {}, outgoing()), "unknown", "unknown");
  expect(error.message).toBe("x");
});

test("frames of a server that violate the protocol end the channel", async () => {
  const status = (hex: string) => (call: number) =>
    result(call, { flags: flag.error, method: 2, payload: fromHex(hex) });
  const violations: Record<string, (call: number) => Uint8Array> = {
    "a CALL": (call) => frame({ type: frameType.call, call, method: 1 }),
    "a METHOD": () => frame({ type: frameType.method, method: 1 }),
    "a stream message for a unary call": (call) =>
      frame({ type: frameType.message, call, payload: hi }),
    "an unknown type": () => frame({ type: 0x44 }),
    "a second HELLO": () => greeting().subarray(8),
    "a status that is cut off": status("ffff78"),
    "a status with a detail that is cut off": status("0000 0001 61 0000ffff 01"),
    "a status with too many details": status(`0000${"000000000000".repeat(17)}`),
    "metadata that is cut off": (call) =>
      result(call, { flags: flag.metadata | flag.message, payload: fromHex("00") }),
    "metadata that is too large": (call) =>
      result(call, {
        flags: flag.metadata | flag.message,
        payload: Buffer.concat([fromHex("ffff"), new Uint8Array(65_535)]),
      }),
  };
  for (const [name, violation] of Object.entries(violations)) {
    let told: Frame | undefined;
    const channel = await channelTo((received, peer) => {
      if (received.type === frameType.call) peer.send(violation(received.call!));
      if (received.type === frameType.goaway) told = received;
    });
    await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "unknown");
    expect(channel.state, name).toBe("closed");
    await until(() => told !== undefined);
  }
});

test("a server that sends beyond the credit ends the channel", async () => {
  const channel = await channelTo(
    onCall((call, peer) => {
      for (let count = 0; count < 20; count++) {
        peer.send(frame({ type: frameType.message, call, payload: hi }));
      }
    }),
    { streamWindowBytes: 1000 },
  );
  const answers = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  const first = answers.next();
  await channel.closed;
  expect((await first).value?.text).toBe("hi");
  await failure(all({ [Symbol.asyncIterator]: () => answers }), "unavailable", "unknown");
});

test("a server that sends byte by byte is understood", async () => {
  const channel = await channelTo(
    onCall((call, peer) => {
      const bytes = result(call);
      let at = 0;
      const next = () => {
        if (at === bytes.length) return;
        peer.socket.write(bytes.subarray(at, ++at), () => setImmediate(next));
      };
      next();
    }),
  );
  expect((await channel.unary(echo.once, {}, outgoing())).text).toBe("hi");
});

test("only a bounded number of PONGs is buffered for a server that reads none", async () => {
  const pings = 1_000_000;
  const flood = new Uint8Array(16 * 10_000);
  const ping = frame({ type: frameType.ping });
  for (let at = 0; at < flood.length; at += 16) flood.set(ping, at);
  let received = 0;
  let lastSeen = false;
  const last = Buffer.from(frame({ type: frameType.pong, aux: 77 }));
  const server = createServer((socket) => {
    open.push(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      received += bytes.length;
      lastSeen ||= bytes.subarray(-16).equals(last);
    });
    socket.write(greeting());
    socket.pause();
    void (async () => {
      for (let sent = 0; sent < pings; sent += 10_000) {
        await new Promise((resolve) => socket.write(flood, resolve));
      }
      socket.write(frame({ type: frameType.ping, aux: 77 }), () => socket.resume());
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => server.close(() => resolve())));
  const { port } = server.address() as { port: number };
  const channel = await tcpTransport().dial(`127.0.0.1:${port}`);
  open.push(() => channel.close());
  await until(() => lastSeen);
  // The kernel's buffers are not limited here.
  expect(received).toBeLessThan(pings * 12);
});

test("responses of a stream that come after the deadline are not decoded", async () => {
  let decoded = 0;
  const method = {
    ...echo.repeat,
    output: {
      contentType: echo.repeat.output.contentType,
      typeName: echo.repeat.output.typeName,
      encode: () => new Uint8Array(),
      decode: () => {
        decoded++;
        // A message whose decoding takes until after the deadline.
        const until = performance.now() + 300;
        while (performance.now() < until);
        return {};
      },
    },
  } as unknown as typeof echo.repeat;
  const channel = await channelTo(
    onCall((id, peer) => {
      const message = frame({ type: frameType.message, call: id, payload: hi });
      peer.send(...Array.from({ length: 20 }, () => message));
    }),
  );
  const call = outgoing({ timeoutMs: 200 });
  await failure(all(channel.stream(method, [{}], call)), "deadline_exceeded");
  expect(decoded).toBeLessThan(3);
});

test("a response that declares more than the limit is resource_exhausted for its call", async () => {
  const waiting: number[] = [];
  const channel = await channelTo(
    onCall((id, peer) => {
      waiting.push(id);
      if (waiting.length < 2) return;
      const declared = frame({ type: frameType.result, flags: flag.message, call: id });
      new DataView(declared.buffer, declared.byteOffset).setUint32(0, 100 * 1024 * 1024);
      peer.send(declared);
    }),
  );
  const other = channel.unary(echo.once, {}, outgoing());
  const culprit = channel.unary(echo.echo, {}, outgoing());
  await failure(culprit, "resource_exhausted", "executed");
  await failure(other, "unavailable", "unknown");
});

/** The announcement of a 4 MiB frame, with the first bytes of its payload. */
const announced = (bytes: number) =>
  Buffer.concat([
    frame({
      type: frameType.result,
      flags: flag.message,
      call: 1,
      payload: new Uint8Array(4_194_304),
    }),
  ]).subarray(0, 16 + bytes);

test.each([0, 1_000])(
  "a frame that is announced but not sent ends the connection, also for the calls behind it: %i bytes",
  async (bytes) => {
    const channel = await channelTo(
      onCall((call, peer) => {
        if (call === 1) peer.send(announced(bytes));
        // Behind the frame, so it is never reached.
        else peer.socket.write(result(call));
      }),
      { handshakeTimeoutMs: 300 },
    );
    const calls = [1, 2, 3].map(() => channel.unary(echo.once, {}, outgoing()));
    for (const call of calls) {
      const error = await failure(call, "unavailable", "unknown");
      expect(error.message).toMatch(
        /received \d+ of the 4194304 bytes of a frame.*handshakeTimeoutMs/,
      );
    }
    expect(channel.state).toBe("closed");
  },
);

test("a frame that arrives slowly and makes progress is read to its end", async () => {
  const payload = Buffer.concat([fromHex("0a8080 02"), Buffer.alloc(32_768, "a")]);
  const bytes = frame({ type: frameType.result, flags: flag.message, call: 1, payload });
  const channel = await channelTo(
    onCall(async (_call, peer) => {
      // 40 KiB per second, for four times the grace period.
      for (let at = 0; at < bytes.length; at += 4_096) {
        peer.socket.write(bytes.subarray(at, at + 4_096));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }),
    { handshakeTimeoutMs: 200 },
  );
  const { text } = await channel.unary(echo.once, {}, outgoing());
  expect(text).toHaveLength(32_768);
});
