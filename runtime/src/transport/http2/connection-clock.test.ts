import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  types,
} from "../../../../test/hostile/raw-http2.ts";
import { FramePeer, ok, TestServer } from "../../../../test/support/http2-peers.ts";
import { type ClockedConnection, ConnectionClock } from "./connection-clock.ts";
import { errorCode } from "./error-code.ts";
import { defaultHttp2Limits } from "./limits.ts";

const { keepaliveIntervalMs, keepaliveTimeoutMs } = defaultHttp2Limits;

/** A connection without traffic. */
class Standing implements ClockedConnection {
  now = performance.now();
  isReading = true;
  backlogSent: number | undefined;
  openStreams = 1;
  pings = 0;
  late = vi.fn(() => clock.end());
  ping = (): void => void this.pings++;
  idle = (): void => undefined;
  sweepStreams = (): number => Number.POSITIVE_INFINITY;
}

let connection: Standing;
let clock: ConnectionClock;

beforeEach(() => {
  vi.useFakeTimers();
  connection = new Standing();
  clock = new ConnectionClock(connection, defaultHttp2Limits);
  clock.greeted();
});
afterEach(() => {
  clock.end();
  vi.useRealTimers();
});

test("a peer that neither reads nor sends is late", async () => {
  await vi.advanceTimersByTimeAsync(keepaliveIntervalMs + keepaliveTimeoutMs + 100);
  expect(connection.pings).toBe(1);
  expect(connection.late).toHaveBeenCalledOnce();
});

test("a peer that cannot be reached is late, although the system accepts more for it", async () => {
  // Calls are sent all the while, and none of them waits here.
  connection.backlogSent = undefined;
  await vi.advanceTimersByTimeAsync(keepaliveIntervalMs + keepaliveTimeoutMs + 100);
  expect(connection.late).toHaveBeenCalledOnce();
});

test("a peer that reads slowly what was sent before a PING is not late", async () => {
  connection.backlogSent = 0;
  for (let time = 0; time < 10 * keepaliveTimeoutMs; time += 1_000) {
    await vi.advanceTimersByTimeAsync(1_000);
    connection.backlogSent += 1_000;
  }
  expect(connection.pings).toBe(1);
  expect(connection.late).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2 * keepaliveTimeoutMs + 100);
  expect(connection.late).toHaveBeenCalledOnce();
});

test("a frame that is incomplete after many requests in one chunk is late", async () => {
  vi.useRealTimers();
  using server = await TestServer.start({ handshakeTimeoutMs: 200 }, (request) => {
    request.respond = (stream) => stream.head(undefined, ok, true);
  });
  using peer = FramePeer.client(server.port);
  await expect.poll(() => peer.of(types.settings).length).toBe(2);
  // More than are accepted in a row, so that the server rests before it reads the last frame.
  const requests = Array.from({ length: 100 }, (_, index) =>
    frame(types.headers, endHeaders | endStream, 2 * index + 1, grpcHeader("/a")),
  );
  peer.send(...requests, frame(types.headers, endHeaders, 201, grpcHeader("/a")).subarray(0, 30));
  await expect.poll(() => peer.goaway).toBe(errorCode.enhanceYourCalm);
  expect(peer.of(types.headers)).toHaveLength(100);
});
