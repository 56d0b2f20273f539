import { type Deadline, remainingMs } from "../base/deadline.ts";
import type { Metadata } from "../base/metadata.ts";

/** Metadata key of an event: its deadline, in milliseconds since 1970. */
export const eventDeadlineKey = "micro-deadline";

/**
 * Writes the deadline into an event's metadata. It is a wall-clock time, because an event may rest
 * in a broker, where a remaining time could not be counted down.
 */
export function setEventDeadline(metadata: Metadata, deadline: Deadline | undefined): void {
  if (deadline === undefined || deadline === Number.POSITIVE_INFINITY) return;
  metadata.set(eventDeadlineKey, String(Math.round(Date.now() + remainingMs(deadline))));
}

/** The deadline of an event on this process's clock; infinity if it has none or an invalid one. */
export function eventDeadline(metadata: Metadata): Deadline {
  if (metadata.isEmpty) return Number.POSITIVE_INFINITY;
  const said = metadata.get(eventDeadlineKey);
  if (typeof said !== "string" || !/^\d{1,15}$/.test(said)) return Number.POSITIVE_INFINITY;
  return performance.now() + (Number(said) - Date.now());
}
