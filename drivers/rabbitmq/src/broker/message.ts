import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { Metadata, MicroError } from "@micro-es/runtime";
import {
  checkDescription,
  type EventRecord,
  recordOfBytes,
  reservedEventKeys,
  tooLarge,
} from "@micro-es/runtime/driver";
import type { Message, MessageProperties, Options } from "amqplib";

/*
 * An event as an AMQP message: the body is the content; id, content type and type are properties,
 * and key and metadata are headers: text as strings, bytes as byte arrays, several values as a
 * list. A message without our headers comes from another program, and is an event of bytes.
 */

/*
 * Names with capitals are ours: keys of metadata have none.
 */

/** Header of the ordering key, in UTF-8. */
const keyHeader = "Micro-Key";
const replayHeader = "Micro-Replay";
/** Header of a type name that is too long for a property. */
const typeHeader = "Micro-Type";
/** Header of an event that a member returned: how often its handling began. */
const attemptsHeader = "Micro-Attempts";
/** Header of an event that a member returned while its dead letter could not be published. */
const reasonHeader = "Micro-Reason";

/** Headers of messages in the stream of dead letters. */
export const deadLetterHeaders = {
  /** The topic of a dead letter; a routing key may be a hash of it. */
  topic: "Micro-Topic",
  /** Tells a repetition of a dead letter from another one. */
  letter: "Micro-Letter",
  /** The position of a dead letter that is dropped. */
  dropped: "Micro-Dropped",
  /** Marks the end of what is read. */
  mark: "Micro-Mark",
} as const;

/** Headers that are not metadata. */
export const ownHeaders: ReadonlySet<string> = new Set([
  ...reservedEventKeys,
  attemptsHeader,
  reasonHeader,
  ...Object.values(deadLetterHeaders),
  // Those of RabbitMQ.
  "x-delivery-count",
  "x-acquired-count",
  "x-death",
  "x-first-death-exchange",
  "x-first-death-queue",
  "x-first-death-reason",
  "x-last-death-exchange",
  "x-last-death-queue",
  "x-last-death-reason",
  "x-stream-offset",
]);
const visibleAscii = /^[\x21-\x7e]{1,255}$/;
const contentTypePattern = /^[\x20-\x7e]{1,255}$/;
/** A short string of AMQP has at most this many bytes. */
const longestShort = 255;
const persistent = 2;

/** The handlings of an event before it came here. */
export interface PastHandlings {
  readonly attempts: number;
  /** Why handling was abandoned, if only the dead letter is missing. */
  readonly reason: string | undefined;
}

/**
 * The properties of an event.
 * @throws MicroError `invalid_argument` for a metadata key that AMQP cannot carry.
 */
export function encodeProperties(record: EventRecord, past?: PastHandlings): Options.Publish {
  const { id, contentType, typeName, key, replay, metadata } = record;
  const isPlain = key === undefined && replay === undefined && metadata.isEmpty;
  const isShort = typeName.length <= longestShort;
  return {
    messageId: id,
    contentType,
    deliveryMode: persistent,
    timestamp: Math.floor(Date.now() / 1_000),
    ...(typeName !== "" && isShort ? { type: typeName } : {}),
    ...(isPlain && isShort && past === undefined ? {} : { headers: headersOf(record, past) }),
  };
}

function headersOf(
  { topic, typeName, key, replay, metadata }: EventRecord,
  past: PastHandlings | undefined,
): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  for (const [name, value] of metadata) {
    if (name.length > longestShort) throw nameTooLong(topic, name);
    const encoded = typeof value === "string" ? value : Buffer.from(value);
    const before = headers[name];
    if (before === undefined) headers[name] = encoded;
    else if (Array.isArray(before)) before.push(encoded);
    else headers[name] = [before, encoded];
  }
  if (key !== undefined) headers[keyHeader] = key;
  if (replay !== undefined) headers[replayHeader] = replay;
  if (typeName.length > longestShort) headers[typeHeader] = typeName;
  return past === undefined ? headers : { ...headers, ...pastHeaders(past) };
}

/** The headers of the handlings of an event. */
export function pastHeaders({ attempts, reason }: PastHandlings): Record<string, unknown> {
  return {
    [attemptsHeader]: attempts,
    ...(reason === undefined ? {} : { [reasonHeader]: reason }),
  };
}

/**
 * Decodes an event, whoever published it.
 * @throws MicroError `invalid_argument` or `resource_exhausted` when it is not valid.
 */
export function decodeMessage(topic: string, message: Message, maxEventBytes: number): EventRecord {
  const { content, properties } = message;
  if (content.length > maxEventBytes) throw tooLarge(topic, content.length, maxEventBytes);
  const headers = headersIn(properties);
  const key = textIn(headers, keyHeader);
  const replay = textIn(headers, replayHeader);
  const described = {
    id: idOf(properties),
    contentType: contentTypeOf(properties),
    typeName: textIn(headers, typeHeader) ?? String(properties.type ?? ""),
    key: key === "" ? undefined : key,
  };
  checkDescription(topic, described);
  const record = { ...described, topic, body: content, metadata: metadataIn(headers) };
  return replay !== undefined && /^[\x21-\x7e]{1,1024}$/.test(replay)
    ? { ...record, replay }
    : record;
}

/** Represents a message that is not an event, from which only a dead letter is made. */
export function undecodedRecord(topic: string, { content, properties }: Message): EventRecord {
  return recordOfBytes(topic, idOf(properties), content);
}

/** The handlings of an event that was delivered before, as far as the queue counts them. */
export function pastHandlings({ fields, properties }: Message & Redelivered): PastHandlings {
  const headers = headersIn(properties);
  const counted = headers["x-delivery-count"];
  // A classic queue only says that there was one before.
  const deliveries = countIn(counted) ?? (fields.redelivered ? 1 : 0);
  const attempts = deliveries + (countIn(headers[attemptsHeader]) ?? 0);
  return { attempts, reason: textIn(headers, reasonHeader) };
}

interface Redelivered {
  readonly fields: { readonly redelivered: boolean };
}

export function headersIn({ headers }: MessageProperties): Readonly<Record<string, unknown>> {
  return typeof headers === "object" && headers !== null ? headers : {};
}

function textIn(headers: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

function countIn(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** A message without an id of its own gets one. */
export function idOf({ messageId }: MessageProperties): string {
  return typeof messageId === "string" && visibleAscii.test(messageId) ? messageId : randomUUID();
}

function contentTypeOf({ contentType }: MessageProperties): string {
  return typeof contentType === "string" && contentTypePattern.test(contentType)
    ? contentType
    : "application/octet-stream";
}

const noMetadata = new Metadata();

/** Headers that metadata cannot hold are skipped. */
function metadataIn(headers: Readonly<Record<string, unknown>>): Metadata {
  const names = Object.keys(headers);
  if (names.length === 0) return noMetadata;
  const metadata = new Metadata();
  for (const name of names) {
    const key = name.toLowerCase();
    if (ownHeaders.has(name) || ownHeaders.has(key)) continue;
    for (const value of [headers[name]].flat()) append(metadata, key, value);
  }
  // Its size is checked here instead of when a handler reads it.
  metadata.encode();
  return metadata;
}

function append(metadata: Metadata, key: string, value: unknown): void {
  const isBytes = value instanceof Uint8Array;
  if (isBytes !== key.endsWith("-bin") || (!isBytes && typeof value !== "string")) return;
  try {
    metadata.append(key, isBytes ? new Uint8Array(value) : value);
  } catch (error) {
    if (!(error instanceof MicroError && error.code === "invalid_argument")) throw error;
  }
}

function nameTooLong(topic: string, name: string): MicroError {
  return new MicroError(
    "invalid_argument",
    `an event on ${topic} has metadata with a key of ${name.length} characters, ${JSON.stringify(`${name.slice(0, 32)}…`)}; AMQP carries keys of up to ${longestShort}`,
    { outcome: "not-executed" },
  );
}
