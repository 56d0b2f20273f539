import { MicroError } from "../base/error.ts";
import { EventRejected } from "./broker.ts";

/** Maximum delay between two deliveries of an event. */
const longestBackoffMs = 60_000;

/** The error of an attempt that did not end within a limit, such as `30 ms` or `its deadline`. */
export function tooLate(
  { id, topic }: { readonly id: string; readonly topic: string },
  limit: string,
): MicroError {
  return new MicroError(
    "deadline_exceeded",
    `event ${id} on ${topic} was not handled within ${limit}`,
  );
}

/**
 * Whether a handler rejected its event for good. An EventRejected from another copy of this package
 * counts as well.
 */
export function isRejection(error: unknown): boolean {
  return (
    error instanceof EventRejected || (error instanceof Error && error.name === "EventRejected")
  );
}

/** The delay after this number of failures, in milliseconds: doubles with each, ±20 %. */
export function backoff(firstMs: number, failures: number): number {
  const delay = Math.min(longestBackoffMs, firstMs * 2 ** (failures - 1));
  return delay * (0.8 + 0.4 * Math.random());
}
