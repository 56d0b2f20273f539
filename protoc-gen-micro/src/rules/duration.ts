import type { Duration } from "@bufbuild/protobuf/wkt";

const MAX_NANOS = 999_999_999;
/** The maximum delay of a timer; a longer one would fire at once. */
const MAX_MS = 2_147_483_647;

/**
 * Converts a duration to whole milliseconds, rounded up so that no duration becomes zero.
 * @returns the milliseconds, or what is wrong with the duration as a clause for an error message
 */
export function milliseconds(duration: Duration): number | string {
  const { seconds, nanos } = duration;
  if (Math.abs(nanos) > MAX_NANOS || (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) {
    return `is not a duration (seconds: ${seconds}, nanos: ${nanos}); nanos must be at most ${MAX_NANOS} and have the sign of seconds`;
  }
  const ms = Math.ceil(Number(seconds) * 1000 + nanos / 1e6);
  if (seconds < 0n || nanos < 0 || ms === 0) {
    return `is ${inWords(Number(seconds) * 1000 + nanos / 1e6)}; use more than zero`;
  }
  if (ms > MAX_MS) return `is ${seconds} s; use at most ${Math.floor(MAX_MS / 1000)} s (24 days)`;
  return ms;
}

/** A duration in readable form: `2 s`, `50 ms`. */
export function inWords(ms: number): string {
  return Math.abs(ms) < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}
