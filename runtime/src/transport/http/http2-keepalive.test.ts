import type { Http2Session } from "node:http2";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { defaultLimits } from "../transport.ts";
import { Http2Keepalive } from "./http2-keepalive.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const limits = { ...defaultLimits, keepaliveIntervalMs: 2_000, keepaliveTimeoutMs: 1_000 };

/** Creates a session that exposes only its byte count, and counts PINGs. */
function watched() {
  const socket = { bytesRead: 0 };
  const found = { pings: 0, deadAt: undefined as number | undefined };
  let answer = () => {};
  const session = {
    destroyed: false,
    ping(answered: () => void) {
      found.pings++;
      answer = answered;
      return true;
    },
  };
  const silence = new Http2Keepalive(session as unknown as Http2Session, socket, limits, () => {
    found.deadAt = performance.now();
  });
  silence.watch();
  return { socket, found, silence, answer: () => answer() };
}

test.each([0, 1, 250, 499, 1_999])(
  "a session is dead three seconds after its last byte, which came after %i ms",
  (afterMs) => {
    const { socket, found } = watched();
    vi.advanceTimersByTime(afterMs);
    socket.bytesRead++;
    const lastByte = performance.now();
    vi.advanceTimersByTime(10_000);
    // Except for the milliseconds that a timer, even a fake one, may be late.
    expect(found.deadAt! - lastByte).toBeLessThan(3_010);
    expect(found.deadAt! - lastByte).toBeGreaterThan(2_000);
  },
);

test("one that answers, or says anything else, lives, and one that speaks is not asked", () => {
  const { socket, found, answer } = watched();
  for (let turn = 0; turn < 20; turn++) {
    vi.advanceTimersByTime(1_400);
    socket.bytesRead++;
  }
  expect(found.pings).toBe(0);
  vi.advanceTimersByTime(2_500);
  expect(found.pings).toBe(1);
  answer();
  vi.advanceTimersByTime(2_000);
  expect(found.pings).toBe(2);
  socket.bytesRead++;
  vi.advanceTimersByTime(2_100);
  expect(found.pings).toBe(3);
  expect(found.deadAt).toBeUndefined();
});

test("nothing is asked after the end", () => {
  const { found, silence } = watched();
  silence.end();
  vi.advanceTimersByTime(60_000);
  expect(found).toEqual({ pings: 0, deadAt: undefined });
  expect(vi.getTimerCount()).toBe(0);
});
