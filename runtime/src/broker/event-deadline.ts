import { type Deadline, remainingMs } from "../deadline.ts";
import type { Metadata } from "../metadata.ts";

/** Metadata of an event: until when it is of use, in milliseconds since 1970. */
export const eventDeadlineKey = "micro-deadline";

/**
 * Says in an event's metadata until when it is of use. It is a time of the wall clock, because an event may rest in a
 * broker, where no time that remains can be counted down.
 */
export function setEventDeadline(metadata: Metadata, deadline: Deadline | undefined): void {
  if (deadline === undefined || deadline === Number.POSITIVE_INFINITY) return;
  metadata.set(eventDeadlineKey, String(Math.round(Date.now() + remainingMs(deadline))));
}

/** Until when an event is of use, on this process's clock; infinity when it does not say so in earnest. */
export function eventDeadline(metadata: Metadata): Deadline {
  const said = metadata.get(eventDeadlineKey);
  if (typeof said !== "string" || !/^\d{1,15}$/.test(said)) return Number.POSITIVE_INFINITY;
  return performance.now() + (Number(said) - Date.now());
}
