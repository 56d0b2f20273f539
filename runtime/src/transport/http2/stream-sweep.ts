import type { Deadline } from "../../base/deadline.ts";
import type { Http2Limits } from "./limits.ts";
import type { SendFlow } from "./send-flow.ts";
import type { Http2Stream } from "./stream.ts";

/** The least time between two sweeps of all streams, in milliseconds. */
const pauseMs = 20;

/**
 * Wakes the streams whose time has come, and ends those whose output the peer does not take: a peer
 * may stop reading, but not indefinitely at this side's expense. Returns when to sweep again.
 *
 * @param stallCode the code with which these are reset
 */
export function sweepStreams(
  streams: ReadonlyMap<number, Http2Stream>,
  sendFlow: SendFlow,
  limits: Http2Limits,
  stallCode: number,
  now: Deadline,
): Deadline {
  let next = sweepStalled(sendFlow, limits, stallCode, now);
  for (const stream of streams.values()) {
    if (stream.dueAt <= now) {
      stream.dueAt = Number.POSITIVE_INFINITY;
      stream.handler.onDue(stream, now);
    }
    if (stream.dueAt < next) next = stream.dueAt;
  }
  return Math.max(next, now + pauseMs);
}

function sweepStalled(
  sendFlow: SendFlow,
  limits: Http2Limits,
  stallCode: number,
  now: Deadline,
): Deadline {
  let next = Number.POSITIVE_INFINITY;
  for (const stream of [...sendFlow.waiting]) {
    const isFull = sendFlow.queuedBytes > limits.maxStalledBytes;
    const limitMs = isFull ? limits.shortStallTimeoutMs : limits.stallTimeoutMs;
    const leftMs = stream.progressAt + limitMs - now;
    if (leftMs <= 0) stream.reset(stallCode);
    else next = Math.min(next, now + Math.min(leftMs, limits.shortStallTimeoutMs));
  }
  return next;
}
