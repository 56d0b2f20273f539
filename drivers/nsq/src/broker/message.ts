import type { Buffer } from "node:buffer";
import { MicroError } from "@micro-es/runtime";
import {
  decodeEnvelope,
  type EventRecord,
  encodeEnvelope,
  recordOfBytes,
  tooLarge,
} from "@micro-es/runtime/driver";
import type { NsqMessage } from "../wire/frames.ts";

/** The largest body by default; its envelope leaves room for metadata in nsqd's 1 MiB. */
export const defaultMaxEventBytes: number = 512 * 1024;
/** What an envelope may have in addition to its body, in bytes. */
const headerBytes = 349_524;
/** The most that is kept of a message that is not an event, in bytes. */
const keptBytes = 64 * 1024;

/** The largest message that an event may be, in bytes; by default nsqd's. */
export function maxMessageBytes(maxEventBytes: number): number {
  return Math.ceil(maxEventBytes / 3) * 4 + headerBytes;
}

/**
 * The message of an event: go-micro's envelope.
 * @throws MicroError `resource_exhausted` for one that nsqd may not take.
 */
export function encodeEvent(record: EventRecord, limit: number): Buffer {
  const message = encodeEnvelope(record);
  if (message.length > limit) throw tooLarge(record.topic, message.length, limit);
  return message;
}

/** @throws MicroError for what is not an event. */
export function decodeEvent(
  topic: string,
  { id, body, isTruncated }: NsqMessage,
  maxEventBytes: number,
): EventRecord {
  if (isTruncated) {
    throw new MicroError("resource_exhausted", "it is longer than maxEventBytes allows");
  }
  const { record } = decodeEnvelope(body, maxEventBytes, topic, id);
  return { ...record, topic };
}

/** Represents a message that is not an event, from which only a dead letter is made. */
export function undecodedEvent(
  topic: string,
  { id, body }: NsqMessage,
  maxEventBytes: number,
): EventRecord {
  return recordOfBytes(topic, id, body.subarray(0, Math.min(keptBytes, maxEventBytes)));
}
