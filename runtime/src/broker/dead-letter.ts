import { MicroError } from "../error.ts";
import { Metadata } from "../metadata.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { EventRecord } from "./event.ts";
import { eventDeadlineKey } from "./event-deadline.ts";

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
  // Whoever looks at dead letters has all the time there is.
  metadata.delete(eventDeadlineKey);
  return { ...record, topic: deadLetter, metadata };
}

/** A dead letter as it is told of; undefined for an event that is none. */
export function readDeadLetter(
  record: EventRecord,
  cursor: string,
  at: Date,
): DeadLetter | undefined {
  const topic = record.metadata.get(deadLetterTopicKey);
  if (typeof topic !== "string" || topic === "") return undefined;
  const { id, key, body, contentType, typeName } = record;
  const event = { id, key, body, contentType, typeName, metadata: originalMetadata(record) };
  const reason = String(record.metadata.get(deadLetterReasonKey) ?? "");
  const attempts = Number(record.metadata.get(deadLetterAttemptsKey)) || 0;
  return { cursor, topic, ...event, reason, attempts, at };
}

/** A dead letter as the event that it was, to be published again. */
export function originalOf(record: EventRecord, topic: string): EventRecord {
  return { ...record, topic, metadata: originalMetadata(record) };
}

function originalMetadata(record: EventRecord): Metadata {
  const metadata = new Metadata(record.metadata);
  for (const key of [deadLetterReasonKey, deadLetterTopicKey, deadLetterAttemptsKey]) {
    metadata.delete(key);
  }
  return metadata;
}

/** The number in a cursor of a broker that numbers its dead letters. @throws MicroError `invalid_argument` */
export function cursorNumber(cursor: string): bigint {
  if (/^[1-9]\d{0,18}$/.test(cursor)) return BigInt(cursor);
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(String(cursor).slice(0, 64))} is no cursor of a dead letter: it takes a whole number, as listings have it`,
    { outcome: "not-executed" },
  );
}

/** What was thrown, as a metadata value: one short line of visible ASCII. */
export function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text
    .slice(0, longestReason)
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim();
}
