import { Metadata } from "../metadata.ts";
import type { EventRecord } from "./event.ts";

/** Metadata of a dead letter: why the event was given up. */
export const deadLetterReasonKey = "micro-dead-letter-reason";
/** Metadata of a dead letter: the topic it was on. */
export const deadLetterTopicKey = "micro-dead-letter-topic";
/** Metadata of a dead letter: how often its handler was tried. */
export const deadLetterAttemptsKey = "micro-dead-letter-attempts";

const longestReason = 512;

/** The event as it goes to a dead letter topic: the same, with what happened to it in its metadata. */
export function deadLetterRecord(
  record: EventRecord,
  deadLetter: string,
  reason: string,
  attempts: number,
): EventRecord {
  const metadata = new Metadata(record.metadata)
    .set(deadLetterReasonKey, reason)
    .set(deadLetterTopicKey, record.topic)
    .set(deadLetterAttemptsKey, String(attempts));
  return { ...record, topic: deadLetter, metadata };
}

/** What was thrown, as a metadata value: one short line of visible ASCII. */
export function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text
    .slice(0, longestReason)
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim();
}
