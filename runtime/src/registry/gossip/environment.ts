import type { Target } from "./datagram.ts";
import type { Endpoint } from "./member-update.ts";

/**
 * Why a request has no response: the machine `refused` the connection, so it is there and the
 * process is not; the peer `ended` it, for example because it has another key; or it is `silent`.
 */
export type RequestFailure = "refused" | "ended" | "silent";

/**
 * What the protocol needs from outside. With a virtual clock and network it is deterministic, so
 * that a test can run a thousand members in one process.
 */
export interface GossipEnvironment {
  /** The time of a monotonic clock, in milliseconds. */
  now(): number;
  /** A random number from 0 up to but excluding 1. */
  random(): number;
  /** Sends a datagram, which may be lost. Must not throw. */
  send(to: Target, payload: Uint8Array): void;
  /**
   * Sends a request on a stream. `done` is called once, later, with the response or, when there is
   * none within the timeout, with undefined and why.
   */
  request(
    to: Endpoint,
    message: Uint8Array,
    timeoutMs: number,
    done: (response: Uint8Array | undefined, failure?: RequestFailure) => void,
  ): void;
  /** Calls `advance` of the member at this time, unless it is called earlier. */
  wakeAt(time: number): void;
  /** Called after records changed, with their keys. */
  recordsChanged(keys: ReadonlySet<string>): void;
  /** Called when a member joined, came back, died or left. */
  memberChanged(member: Target, live: boolean): void;
  /** Called when this member is cut off from all others, and when it hears one of them again. */
  isolationChanged(isolated: boolean): void;
}
