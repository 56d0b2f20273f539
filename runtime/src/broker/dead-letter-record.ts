import { MicroError, messageOf, readableThrown } from "../base/error.ts";
import { Metadata } from "../base/metadata.ts";
import type { DeadLetter } from "./dead-letter-admin.ts";
import { type EventRecord, maxTopicLength } from "./event.ts";
import { eventDeadlineKey } from "./event-deadline.ts";

/** Metadata key of a dead letter: why the event failed. */
export const deadLetterReasonKey = "micro-dead-letter-reason";
/** Metadata key of a dead letter: its original topic. */
export const deadLetterTopicKey = "micro-dead-letter-topic";
/** Metadata key of a dead letter: how many times it was handled. */
export const deadLetterAttemptsKey = "micro-dead-letter-attempts";

const longestReason = 512;

/**
 * The default dead letter topic of a subscription, if the broker keeps dead letters. A topic close
 * to the length limit is truncated.
 */
export function defaultDeadLetter(topic: string): string {
  const suffix = ".dead";
  return topic.slice(0, maxTopicLength - suffix.length).replace(/\.+$/, "") + suffix;
}

/** Whether an event is a dead letter: it failed before and was published on a dead letter topic. */
export function isDeadLetter(record: EventRecord): boolean {
  return record.metadata.has(deadLetterTopicKey);
}

/**
 * The event as published on a dead letter topic: unchanged, with the failure described in its
 * metadata.
 */
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
  // A dead letter must not expire while an operator inspects it.
  metadata.delete(eventDeadlineKey);
  return { ...record, topic: deadLetter, metadata };
}

/** Parses a dead letter; undefined if the event is not one. */
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

/** Restores the original event from a dead letter, so that it can be published again. */
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

/**
 * Parses a cursor of a broker that numbers its dead letters. @throws MicroError `invalid_argument`
 */
export function cursorNumber(cursor: string): bigint {
  if (/^[1-9]\d{0,18}$/.test(cursor)) return BigInt(cursor);
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(String(cursor).slice(0, 64))} is not a cursor of a dead letter: use a whole number from a listing`,
    { outcome: "not-executed" },
  );
}

/** Describes a thrown value as a metadata value: one short line of visible ASCII. */
export function describe(error: unknown): string {
  const readable = readableThrown(error);
  const text =
    readable instanceof Error ? `${readable.name}: ${readable.message}` : messageOf(readable);
  return text
    .slice(0, longestReason)
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim();
}
