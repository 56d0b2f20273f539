import { connect, createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  headerLine,
  preface,
  setting,
  types,
  uint32,
} from "../../../../test/hostile/raw-http2.ts";
import {
  FramePeer,
  type Received,
  TestClient,
  TestServer,
} from "../../../../test/support/http2-peers.ts";
import { errorCode } from "./error-code.ts";
import type { Http2Limits } from "./limits.ts";

const {
  protocolError,
  frameSizeError,
  streamClosed,
  flowControlError,
  compressionError,
  refusedStream,
  enhanceYourCalm,
  settingsTimeout,
} = errorCode;

const open: Disposable[] = [];
afterEach(() => {
  for (const it of open.splice(0).reverse()) it[Symbol.dispose]();
});

async function serve(
  limits: Partial<Http2Limits> = {},
  prepare?: (request: Received) => void,
): Promise<{ server: TestServer; peer: FramePeer }> {
  const server = await TestServer.start(limits, prepare);
  open.push(server);
  const peer = FramePeer.client(server.port);
  open.push(peer);
  return { server, peer };
}

const block = grpcHeader("/a");
const headers = (stream: number, flags = endHeaders | endStream, payload = block) =>
  frame(types.headers, flags, stream, payload);
const data = (stream: number, bytes: number, flags = 0) =>
  frame(types.data, flags, stream, Buffer.alloc(bytes));
const windowUpdate = (stream: number, bytes: number) =>
  frame(types.windowUpdate, 0, stream, uint32(bytes));
const lines = (...pairs: readonly (readonly [string, string])[]) =>
  Buffer.concat(pairs.map(([name, value]) => headerLine(name, value)));
const pseudo = lines([":method", "POST"], [":scheme", "http"], [":path", "/"]);

describe("a client that violates the protocol on the connection gets an error and is closed", () => {
  test.each<[what: string, code: number, ...sent: Buffer[]]>([
    ["DATA on an idle stream", protocolError, data(1, 1)],
    ["RST_STREAM on an idle stream", protocolError, frame(types.reset, 0, 1, uint32(8))],
    ["WINDOW_UPDATE on an idle stream", protocolError, windowUpdate(1, 1)],
    ["a stream with an even number", protocolError, headers(2)],
    ["a stream with a lower number", protocolError, headers(5), headers(3)],
    ["a stream that depends on itself", protocolError, frame(2, 0, 1, Buffer.of(0, 0, 0, 1, 5))],
    ["PUSH_PROMISE", protocolError, frame(5, endHeaders, 1, uint32(2))],
    ["a malformed header block", compressionError, headers(1, 5, Buffer.of(0x80))],
    ["HEADERS with too much padding", protocolError, headers(1, 0xd, Buffer.of(9, 0x82))],
    ["HEADERS without their padding", frameSizeError, headers(1, 0xd, Buffer.alloc(0))],
    ["HEADERS without their priority", frameSizeError, headers(1, 0x25, Buffer.alloc(4))],
    ["an empty WINDOW_UPDATE", protocolError, windowUpdate(0, 0)],
    ["a window over 2^31-1", flowControlError, windowUpdate(0, 0x7fff_ffff)],
    ["push enabled with 2", protocolError, setting(2, 2)],
    ["an initial window over 2^31-1", flowControlError, setting(4, 0x8000_0000)],
    ["frames of less than 16 KiB", protocolError, setting(5, 16_383)],
    ["frames of more than 16 MiB", protocolError, setting(5, 0x100_0000)],
    ["a setting of 5 bytes", frameSizeError, frame(types.settings, 0, 0, Buffer.alloc(5))],
    ["an acknowledgement with settings", frameSizeError, frame(4, 1, 0, Buffer.alloc(6))],
    ["33 settings", enhanceYourCalm, frame(types.settings, 0, 0, Buffer.alloc(33 * 6))],
    [
      "settings that make a stream's window too large",
      flowControlError,
      headers(1, endHeaders),
      windowUpdate(1, 1_000),
      setting(4, 0x7fff_ffff),
    ],
    [
      "a header block of 200 KB",
      enhanceYourCalm,
      headers(1, endStream),
      ...Array.from({ length: 13 }, () => frame(types.continuation, 0, 1, Buffer.alloc(16_000))),
    ],
    [
      "a header block in 100 frames",
      enhanceYourCalm,
      headers(1, endStream),
      ...Array.from({ length: 100 }, () => frame(types.continuation, 0, 1)),
    ],
  ])("%s", async (_what, code, ...sent) => {
    const { server, peer } = await serve();
    peer.send(...sent);
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.goaway).toBe(code);
    expect(server.ended[0]).toMatchObject({ violated: true });
    expect(server.connections[0]!.openStreams).toBe(0);
  });

  test("more data than the connection's window", async () => {
    const limits = { maxUnreadBytes: 0, connectionWindowBytes: 65_535 };
    const { peer } = await serve(limits, (request) => {
      request.consumes = false;
    });
    peer.send(headers(1, endHeaders), ...Array.from({ length: 5 }, () => data(1, 16_384)));
    await expect.poll(() => peer.goaway).toBe(flowControlError);
  });

  test("something other than the preface", async () => {
    const server = await TestServer.start();
    open.push(server);
    const peer = new FramePeer((await connected(server.port)).socket);
    peer.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"));
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.goaway).toBe(protocolError);
  });

  test("another frame than SETTINGS first", async () => {
    const server = await TestServer.start();
    open.push(server);
    const peer = await connected(server.port);
    peer.send(preface, frame(types.ping, 0, 0, Buffer.alloc(8)));
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.goaway).toBe(protocolError);
  });

  test("frames on a stream that both sides have ended", async () => {
    const { server, peer } = await serve({}, respondAtOnce);
    peer.send(headers(1));
    await expect.poll(() => server.connections[0]?.openStreams).toBe(0);
    await expect.poll(() => peer.of(types.headers, 1).length).toBe(1);
    peer.send(data(1, 1));
    await expect.poll(() => peer.goaway).toBe(streamClosed);
  });
});

function respondAtOnce(request: Received): void {
  request.respond = (stream) => stream.head(undefined, [], true);
}

async function connected(port: number): Promise<FramePeer> {
  const peer = new FramePeer(connect(port, "127.0.0.1"));
  open.push(peer);
  return peer;
}

describe("a client that violates the protocol on a stream loses only that stream", () => {
  test.each<[what: string, code: number, ...sent: Buffer[]]>([
    ["an unknown pseudo-header field", protocolError, headers(1, 5, lines([":x", "1"]))],
    [
      "a pseudo-header field of responses",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines([":status", "200"])])),
    ],
    [
      "a pseudo-header field twice",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines([":path", "/"])])),
    ],
    [
      "a pseudo-header field after others",
      protocolError,
      headers(1, 5, Buffer.concat([lines(["a", "b"]), pseudo])),
    ],
    ["no method", protocolError, headers(1, 5, lines([":scheme", "http"], [":path", "/"]))],
    ["no path", protocolError, headers(1, 5, lines([":method", "GET"], [":scheme", "http"]))],
    [
      "an empty path",
      protocolError,
      headers(1, 5, lines([":method", "GET"], [":scheme", "http"], [":path", ""])),
    ],
    [
      "a path that does not begin with a slash",
      protocolError,
      headers(1, 5, lines([":method", "GET"], [":scheme", "http"], [":path", "a"])),
    ],
    ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map(
      (name): [string, number, Buffer] => [
        `the field ${name}`,
        protocolError,
        headers(1, 5, Buffer.concat([pseudo, lines([name, "x"])])),
      ],
    ),
    [
      "te with something else than trailers",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines(["te", "gzip"])])),
    ],
    [
      "upper case in a name",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines(["X-a", "b"])])),
    ],
    [
      "a line feed in a value",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines(["x-a", "b\nc: d"])])),
    ],
    [
      "two lengths",
      protocolError,
      headers(
        1,
        5,
        Buffer.concat([pseudo, lines(["content-length", "0"], ["content-length", "1"])]),
      ),
    ],
    [
      "a length that is not a number",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines(["content-length", "+1"])])),
    ],
    [
      "a length without a body",
      protocolError,
      headers(1, 5, Buffer.concat([pseudo, lines(["content-length", "1"])])),
    ],
    [
      "more data than the announced length",
      protocolError,
      headers(1, endHeaders, Buffer.concat([pseudo, lines(["content-length", "1"])])),
      data(1, 2),
    ],
    [
      "less data than the announced length",
      protocolError,
      headers(1, endHeaders, Buffer.concat([pseudo, lines(["content-length", "2"])])),
      data(1, 1, endStream),
    ],
    ["data after the end", streamClosed, headers(1), data(1, 1)],
    ["trailers after the end", streamClosed, headers(1), headers(1)],
    ["a second header", protocolError, headers(1, endHeaders), headers(1, endHeaders)],
    ["trailers with pseudo-header fields", protocolError, headers(1, endHeaders), headers(1)],
    ["an empty WINDOW_UPDATE", protocolError, headers(1, endHeaders), windowUpdate(1, 0)],
    [
      "a window over 2^31-1",
      flowControlError,
      headers(1, endHeaders),
      windowUpdate(1, 0x7fff_ffff),
    ],
    ["200 header fields", enhanceYourCalm, headers(1, 5, Buffer.alloc(200, 0x82))],
    [
      "40 KB of header fields",
      enhanceYourCalm,
      headers(1, endStream, Buffer.concat([pseudo, longLine(15_000)])),
      frame(types.continuation, 0, 1, longLine(15_000)),
      frame(types.continuation, endHeaders, 1, longLine(10_000)),
    ],
  ])("%s", async (_what, code, ...sent) => {
    const { server, peer } = await serve({ streamWindowBytes: 100_000 });
    peer.send(...sent, headers(3));
    await expect.poll(() => peer.reset(1)).toBe(code);
    await expect.poll(() => server.requests.at(-1)?.ended).toBe(true);
    expect(server.connections[0]!.openStreams).toBe(1);
    expect(peer.isClosed).toBe(false);
    if (server.requests.length > 1) expect(server.requests[0]!.reset?.by).toBe("self");
  });

  test("more data than its window, which was announced to it", async () => {
    const { peer } = await serve({ streamWindowBytes: 100_000 }, (request) => {
      request.consumes = false;
    });
    peer.send(headers(1, endHeaders), ...Array.from({ length: 7 }, () => data(1, 16_384)));
    await expect.poll(() => peer.reset(1)).toBe(flowControlError);
  });

  test("more streams than allowed", async () => {
    const { server, peer } = await serve({ maxConcurrentStreams: 2 });
    peer.send(headers(1, endHeaders), headers(3, endHeaders), headers(5));
    await expect.poll(() => peer.reset(5)).toBe(refusedStream);
    expect(server.requests).toHaveLength(2);
  });
});

/** A header line with a value of this length, below 16 KiB. */
function longLine(length: number): Buffer {
  const rest = length - 127;
  return Buffer.concat([
    Buffer.of(0, 1, 0x61, 0x7f, (rest & 0x7f) | 0x80, rest >> 7),
    Buffer.alloc(length, 0x61),
  ]);
}

test("padding counts against the windows, and is credited back", async () => {
  const { server, peer } = await serve({ streamWindowBytes: 70_000 });
  const padded = Buffer.concat([Buffer.of(255), Buffer.alloc(1), Buffer.alloc(255)]);
  peer.send(headers(1, endHeaders), ...Array.from({ length: 2_000 }, () => frame(0, 8, 1, padded)));
  await expect.poll(() => server.requests[0]?.body.length).toBe(2_000);
  expect(peer.goaway).toBeUndefined();
  expect(peer.of(types.windowUpdate, 1).length).toBeGreaterThan(5);
});

describe("a client", () => {
  test.each<[what: string, code: number | undefined, ...sent: Buffer[]]>([
    ["that gets PUSH_PROMISE", protocolError, frame(5, endHeaders, 1, uint32(2))],
    ["that gets a request", protocolError, headers(2)],
    ["that gets a response to nothing", protocolError, headers(3)],
    ["that gets a malformed header block", compressionError, headers(1, 5, Buffer.of(0x80))],
  ])("%s ends the connection", async (_what, code, ...sent) => {
    const { peer, client, response } = await clientOf();
    peer.send(...sent);
    await expect.poll(() => client.reason).toBeDefined();
    expect(response.reset?.by).toBe("connection");
    await expect.poll(() => peer.goaway).toBe(code);
  });

  test.each<[what: string, ...sent: Buffer[]]>([
    ["without a status", headers(1, 5, lines(["a", "b"]))],
    ["with the status 99", headers(1, 5, lines([":status", "099"]))],
    [
      "with a pseudo-header field of requests",
      headers(1, 5, lines([":status", "200"], [":path", "/"])),
    ],
    ["that switches protocols", headers(1, 4, lines([":status", "101"]))],
    ["that ends with an informational one", headers(1, 5, lines([":status", "100"]))],
    ["whose data comes first", data(1, 5)],
    ["without a body that may not have one", headers(1, 4, lines([":status", "204"])), data(1, 1)],
  ])("fails only a response %s", async (_what, ...sent) => {
    const { peer, client, response } = await clientOf();
    peer.send(...sent);
    await expect.poll(() => response.reset).toEqual({ code: protocolError, by: "self" });
    await expect.poll(() => peer.reset(1)).toBe(protocolError);
    const next = client.request();
    peer.send(headers(3, 5, lines([":status", "200"])));
    await expect.poll(() => next.ended).toBe(true);
  });

  test("learns which requests a server that goes away has not processed", async () => {
    const { peer, client, response } = await clientOf();
    const second = client.request();
    await expect.poll(() => peer.of(types.headers).length).toBe(2);
    peer.send(frame(7, 0, 0, Buffer.concat([uint32(1), uint32(0)])));
    await expect.poll(() => second.reset).toEqual({ code: refusedStream, by: "peer" });
    expect(response.reset).toBeUndefined();
    expect(client.goingAway).toBe(true);
    peer.send(headers(1, 5, lines([":status", "200"])));
    await expect.poll(() => response.ended).toBe(true);
    await expect.poll(() => client.reason?.message).toMatch(/drained/);
  });

  test("reports why a server ended the connection", async () => {
    const { peer, client, response } = await clientOf();
    const text = Buffer.from("too many pings");
    peer.send(frame(7, 0, 0, Buffer.concat([uint32(1), uint32(enhanceYourCalm), text])));
    await expect.poll(() => client.reason?.message).toMatch(/ENHANCE_YOUR_CALM too many pings/);
    expect(response.reset?.by).toBe("connection");
  });
});

async function clientOf(): Promise<{ peer: FramePeer; client: TestClient; response: Received }> {
  let peer: FramePeer | undefined;
  const server = createServer((socket) => {
    peer = new FramePeer(socket, preface.length);
    peer.send(frame(types.settings, 0, 0), frame(types.settings, 1, 0));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new TestClient((server.address() as { port: number }).port);
  open.push(client, { [Symbol.dispose]: () => server.close() });
  await client.connected;
  open.push(peer!);
  const response = client.request();
  await expect.poll(() => peer!.of(types.headers).length).toBe(1);
  return { peer: peer!, client, response };
}

describe("a late peer", () => {
  const times = {
    handshakeTimeoutMs: 60,
    keepaliveIntervalMs: 60,
    keepaliveTimeoutMs: 60,
  };

  test("with its preface is closed", async () => {
    const server = await TestServer.start(times);
    open.push(server);
    const peer = await connected(server.port);
    peer.send(preface.subarray(0, 10));
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.goaway).toBe(settingsTimeout);
  });

  test("to acknowledge SETTINGS is closed", async () => {
    const server = await TestServer.start(times);
    open.push(server);
    const peer = await connected(server.port);
    peer.send(preface, frame(types.settings, 0, 0));
    await expect.poll(() => peer.goaway).toBe(settingsTimeout);
  });

  test("with the rest of a frame or of a header block is closed", async () => {
    for (const begun of [headers(1).subarray(0, 12), headers(1, endStream)]) {
      const { peer } = await serve(times);
      peer.send(begun);
      await expect.poll(() => peer.isClosed).toBe(true);
      expect(peer.goaway).toBe(enhanceYourCalm);
    }
  });

  test("to reply to a PING is closed, and one that replies is not", async () => {
    const { server, peer } = await serve(times);
    await expect.poll(() => peer.of(types.ping).length).toBe(1);
    peer.send(frame(types.ping, 1, 0, peer.of(types.ping)[0]!.payload));
    await expect.poll(() => peer.of(types.ping).length).toBe(2);
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(server.ended[0]!.reason.message).toMatch(/nothing was received/);
  });

  test("to read a response loses it, sooner if it is large", async () => {
    const { server, peer } = await serve(
      { stallTimeoutMs: 60_000, shortStallTimeoutMs: 50, maxStalledBytes: 100_000 },
      (request) => {
        request.respond = (stream) => {
          stream.head(undefined, []);
          stream.send(new Uint8Array(1_000_000), 0, 1_000_000, true);
        };
      },
    );
    peer.send(headers(1));
    await expect.poll(() => peer.reset(1)).toBe(enhanceYourCalm);
    expect(server.requests[0]!.reset?.by).toBe("self");
    expect(peer.isClosed).toBe(false);
  });

  test("to use its connection is asked to leave", async () => {
    const { server, peer } = await serve({ idleTimeoutMs: 50 });
    await expect.poll(() => peer.goaway).toBe(errorCode.noError);
    const ping = peer.of(types.ping)[0]!;
    peer.send(frame(types.ping, 1, 0, ping.payload));
    await expect.poll(() => server.ended.length).toBe(1);
    expect(server.ended[0]).toMatchObject({ violated: false });
  });
});
