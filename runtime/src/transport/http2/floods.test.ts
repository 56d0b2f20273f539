import { afterEach, expect, test } from "vitest";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  RawConnection,
  setting,
  types,
  uint32,
} from "../../../../test/hostile/raw-http2.ts";
import { ok, type Received, TestServer } from "../../../../test/support/http2-peers.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

const most = 20_000_000;
const block = grpcHeader("/a");
const headers = (round: number, flags = endHeaders | endStream) =>
  frame(types.headers, flags, streamOf(round), block);
const streamOf = (round: number) => 2 * round + 1;
const hundred = (piece: (round: number) => Buffer) => (round: number) =>
  Buffer.concat(Array.from({ length: 100 }, (_, at) => piece(100 * round + at)));
const respondAtOnce = (request: Received) => {
  request.respond = (stream) => stream.head(undefined, ok, true);
};

test.each<[what: string, limit: RegExp, piece: (round: number) => Buffer, before?: Buffer]>([
  [
    "streams that the client resets",
    /reset more than/,
    (round) =>
      Buffer.concat([
        headers(round, endHeaders),
        frame(types.reset, 0, streamOf(round), uint32(8)),
      ]),
  ],
  [
    "streams that the client makes the server reset, by an empty WINDOW_UPDATE",
    /reset more than/,
    (round) =>
      Buffer.concat([
        headers(round, endHeaders),
        frame(types.windowUpdate, 0, streamOf(round), uint32(0)),
      ]),
  ],
  [
    "streams that the client makes the server reset, by malformed requests",
    /reset more than/,
    (round) => frame(types.headers, endHeaders | endStream, streamOf(round), Buffer.of(0x82)),
  ],
  ["more streams than are allowed", /reset more than/, (round) => headers(round, endHeaders)],
  ["PING", /PING was sent/, () => frame(types.ping, 0, 0, Buffer.alloc(8))],
  ["SETTINGS", /SETTINGS was sent/, () => setting(4, 65_535)],
  [
    "SETTINGS that change all windows",
    /SETTINGS was sent/,
    (round) => setting(4, round % 2),
    Buffer.concat(Array.from({ length: 900 }, (_, round) => headers(round, endHeaders))),
  ],
  ["PRIORITY", /without effect/, () => frame(2, 0, 1, Buffer.alloc(5))],
  ["unknown frames", /without effect/, () => frame(0x42, 0, 0)],
  ["empty DATA", /without effect/, () => frame(types.data, 0, 1), headers(0, endHeaders)],
  [
    "DATA of padding only",
    /without effect/,
    () => frame(types.data, 8, 1, Buffer.of(3, 0, 0, 0)),
    headers(0, endHeaders),
  ],
  [
    "WINDOW_UPDATE",
    /WINDOW_UPDATE was sent/,
    () => frame(types.windowUpdate, 0, 1, uint32(1)),
    headers(0, endHeaders),
  ],
  [
    "RST_STREAM for a stream that is closed",
    /without effect/,
    () => frame(types.reset, 0, 1, uint32(8)),
    headers(0, endHeaders),
  ],
])("a flood of %s ends the connection", async (_what, limit, piece, before) => {
  const server = await TestServer.start({}, respondAtOnce);
  open.push(() => server.close());
  const peer = new RawConnection(server.port);
  open.push(() => peer.close());
  peer.greet();
  if (before !== undefined) peer.socket.write(before);
  await peer.flood(hundred(piece), most);
  await peer.closed;
  expect(server.ended[0]).toMatchObject({ violated: true });
  expect(server.ended[0]!.reason.message).toMatch(limit);
  expect(server.connections[0]!.openStreams).toBe(0);
});

test("a flood whose replies are not read does not fill memory", async () => {
  const server = await TestServer.start({}, (request) => {
    request.respond = (stream) => {
      stream.head(undefined, ok);
      stream.send(new Uint8Array(60_000), 0, 60_000, true);
    };
  });
  open.push(() => server.close());
  const peer = new RawConnection(server.port);
  open.push(() => peer.close());
  peer.socket.pause();
  peer.greet(setting(4, 0x7fff_ffff), frame(types.windowUpdate, 0, 0, uint32(0x7ff0_0000)));
  // 900 responses of 60 KB, of which no more than a batch is written after the socket is full.
  peer.socket.write(Buffer.concat(Array.from({ length: 900 }, (_, round) => headers(round))));
  await expect.poll(() => server.connections[0]?.choked).toBe(true);
  const { socket } = server.connections[0]!;
  expect(socket.writableLength).toBeLessThan(8_000_000);
  expect(server.requests.length).toBeLessThan(900);
});

test("a normal client is not affected at its usual rates", async () => {
  const server = await TestServer.start({}, respondAtOnce);
  open.push(() => server.close());
  const client = server.connect();
  open.push(() => client.connection.socket.destroy());
  await client.connected;
  for (let round = 0; round < 30; round++) {
    const responses = Array.from({ length: 100 }, () => client.request());
    client.connection.ping();
    await expect.poll(() => responses.every(({ ended }) => ended)).toBe(true);
  }
  expect(client.reason).toBeUndefined();
});
