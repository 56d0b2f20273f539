import type { Duration } from "@bufbuild/protobuf/wkt";

const MAX_NANOS = 999_999_999;
/** The longest that a timer waits; a longer wait would end at once. */
const MAX_MS = 2_147_483_647;

/**
 * Whole milliseconds of a duration, rounded up so that none becomes zero.
 * @returns what is wrong with it, as a clause for an error message, when it is no time to wait
 */
export function milliseconds(duration: Duration): number | string {
  const { seconds, nanos } = duration;
  if (Math.abs(nanos) > MAX_NANOS || (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) {
    return `is not a duration (seconds: ${seconds}, nanos: ${nanos}); nanos go to ${MAX_NANOS} and have the sign of seconds`;
  }
  const ms = Math.ceil(Number(seconds) * 1000 + nanos / 1e6);
  if (seconds < 0n || nanos < 0 || ms === 0) {
    return `is ${inWords(Number(seconds) * 1000 + nanos / 1e6)}; give more than zero`;
  }
  if (ms > MAX_MS) return `is ${seconds} s; give at most ${Math.floor(MAX_MS / 1000)} s (24 days)`;
  return ms;
}

/** A time as people write it: `2 s`, `50 ms`. */
export function inWords(ms: number): string {
  return Math.abs(ms) < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}
