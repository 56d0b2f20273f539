import { Buffer } from "node:buffer";
import { createHash, randomUUID } from "node:crypto";
import { Metadata, MicroError } from "@micro-es/runtime";
import {
  checkDescription,
  type EventRecord,
  recordOfBytes,
  reservedEventKeys,
  tooLarge,
} from "@micro-es/runtime/driver";
import type { PubsubMessageInit } from "../gen/google/pubsub/v1/pubsub_codec.ts";
import type { PubsubMessage } from "../gen/google/pubsub/v1/pubsub_pb.ts";

/*
 * An event as a message: the body is the data, and everything else is an attribute. Metadata with
 * one short text is an attribute of its name; the rest is encoded in pieces. A message without
 * `micro-id` comes from another program, and is an event of bytes whose attributes are metadata.
 */

const attribute = {
  id: "micro-id",
  contentType: "content-type",
  typeName: "micro-type",
  /** In pieces. */
  key: "micro-key",
  replay: "micro-replay",
  /** Of dead letters: their topic, which its name may not show. */
  topic: "micro-topic",
  /** Of dead letters: their number. */
  letter: "micro-letter",
  /** Metadata that does not fit in attributes, in pieces of Base64. */
  metadata: "micro-metadata",
} as const;

/** Limits of the service. */
const mostAttributes = 100;
const longestNameBytes = 256;
const longestValueBytes = 1_024;
const longestOrderingKeyBytes = 1_024;
const dataOverheadBytes = 64;

const ours: ReadonlySet<string> = new Set([...reservedEventKeys, ...Object.values(attribute)]);
const pieceOfOurs = /^micro-(?:key|metadata)-\d{1,3}$/;
const visibleAscii = /^[\x21-\x7e]{1,255}$/;

/** What a message has in addition to its event. */
export interface MessageOptions {
  /** Whether the service preserves the order of messages with the same key. */
  readonly isOrdered: boolean;
  /** The number of a dead letter. */
  readonly letter?: bigint;
}

/**
 * The message of an event.
 * @throws MicroError `invalid_argument` for metadata that does not fit in a message.
 */
export function encodeMessage(record: EventRecord, options: MessageOptions): PubsubMessageInit {
  const { id, topic, contentType, typeName, key, replay, body } = record;
  const attributes: Record<string, string> = {
    [attribute.id]: id,
    [attribute.contentType]: contentType,
  };
  if (typeName !== "") attributes[attribute.typeName] = typeName;
  if (replay !== undefined) attributes[attribute.replay] = replay;
  if (key !== undefined) addPieces(attributes, attribute.key, key);
  if (options.letter !== undefined) {
    attributes[attribute.letter] = String(options.letter);
    attributes[attribute.topic] = topic;
  }
  addMetadata(attributes, record);
  const isOrdered = options.isOrdered && key !== undefined;
  return { data: body, attributes, ...(isOrdered ? { orderingKey: orderingKeyOf(key) } : {}) };
}

/** The bytes of a message, approximately and not too few. */
export function sizeOf({ data, attributes, orderingKey }: PubsubMessageInit): number {
  let bytes = dataOverheadBytes + (data?.length ?? 0) + 3 * (orderingKey?.length ?? 0);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    bytes += 16 + 3 * name.length + 3 * value.length;
  }
  return bytes;
}

/**
 * Decodes an event, whoever published it.
 * @throws MicroError `invalid_argument` or `resource_exhausted` when it is not valid.
 */
export function decodeMessage(
  topic: string,
  message: PubsubMessage,
  maxBytes: number,
): EventRecord {
  const { data, attributes } = message;
  if (data.length > maxBytes) throw tooLarge(topic, data.length, maxBytes);
  const id = attributes[attribute.id];
  const key = piecesOf(attributes, attribute.key) || message.orderingKey;
  const described = {
    id: id ?? idOf(message),
    contentType: attributes[attribute.contentType] ?? "application/octet-stream",
    typeName: attributes[attribute.typeName] ?? "",
    key: key === "" ? undefined : key,
  };
  checkDescription(topic, described);
  const replay = attributes[attribute.replay];
  const record: EventRecord = { ...described, topic, body: data, metadata: metadataIn(attributes) };
  return replay === undefined ? record : { ...record, replay };
}

/** Represents a message that is not an event, from which only a dead letter is made. */
export function undecodedEvent(topic: string, message: PubsubMessage): EventRecord {
  return recordOfBytes(topic, idOf(message), message.data);
}

/** The number and the topic of a dead letter; undefined for any other message. */
export function letterOf({ attributes }: PubsubMessage): bigint | undefined {
  const number = attributes[attribute.letter];
  return number !== undefined && /^[1-9]\d{0,18}$/.test(number) ? BigInt(number) : undefined;
}

/** The topic that a dead letter names. */
export function letterTopic({ attributes }: PubsubMessage): string | undefined {
  return attributes[attribute.topic];
}

function idOf({ messageId }: PubsubMessage): string {
  return visibleAscii.test(messageId) ? messageId : randomUUID();
}

/** The service takes shorter keys than events may have. */
function orderingKeyOf(key: string): string {
  if (Buffer.byteLength(key) <= longestOrderingKeyBytes) return key;
  return createHash("sha256").update(key).digest("hex");
}

function addMetadata(attributes: Record<string, string>, { topic, metadata }: EventRecord): void {
  if (metadata.isEmpty) return;
  const counts = new Map<string, number>();
  for (const [key] of metadata) counts.set(key, (counts.get(key) ?? 0) + 1);
  const others = new Metadata();
  let plain = 0;
  for (const [key, value] of metadata) {
    const fits =
      plain < mostAttributes / 2 &&
      counts.get(key) === 1 &&
      typeof value === "string" &&
      value !== "" &&
      value.length <= longestValueBytes &&
      key.length <= longestNameBytes &&
      !key.startsWith("goog") &&
      !ours.has(key) &&
      !pieceOfOurs.test(key) &&
      // A name such as __proto__ would set no property.
      !(key in attributes);
    if (fits) {
      attributes[key] = value;
      plain++;
    } else others.append(key, value);
  }
  if (others.isEmpty) return;
  addPieces(attributes, attribute.metadata, Buffer.from(others.encode()).toString("base64"));
  const count = Object.keys(attributes).length;
  if (count <= mostAttributes) return;
  throw new MicroError(
    "invalid_argument",
    `an event on ${topic} has metadata that needs ${count} attributes of a message, and Pub/Sub carries ${mostAttributes} of ${longestValueBytes} bytes`,
    { outcome: "not-executed" },
  );
}

function metadataIn(attributes: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(attributes)) {
    const key = name.toLowerCase();
    if (ours.has(key) || pieceOfOurs.test(key) || key.endsWith("-bin")) continue;
    try {
      metadata.append(key, value);
    } catch (error) {
      // Another program's attribute that metadata cannot hold is skipped.
      if (!(error instanceof MicroError && error.code === "invalid_argument")) throw error;
    }
  }
  const encoded = piecesOf(attributes, attribute.metadata);
  if (encoded !== "") {
    for (const [key, value] of Metadata.decode(Buffer.from(encoded, "base64"))) {
      if (!reservedEventKeys.includes(key)) metadata.append(key, value);
    }
  }
  // Its size is checked here instead of when a handler reads it.
  metadata.encode();
  return metadata;
}

/** Splits a text over attributes: `name`, `name-1`, `name-2`. */
function addPieces(attributes: Record<string, string>, name: string, text: string): void {
  let piece = "";
  let bytes = 0;
  let count = 0;
  const end = () => {
    attributes[count === 0 ? name : `${name}-${count}`] = piece;
    count++;
    piece = "";
    bytes = 0;
  };
  if (text.length <= longestValueBytes / 3) {
    attributes[name] = text;
    return;
  }
  for (const character of text) {
    const size = Buffer.byteLength(character);
    if (bytes + size > longestValueBytes) end();
    piece += character;
    bytes += size;
  }
  end();
}

function piecesOf(attributes: Readonly<Record<string, string>>, name: string): string {
  let text = attributes[name] ?? "";
  for (let count = 1; count <= mostAttributes; count++) {
    const piece = attributes[`${name}-${count}`];
    if (piece === undefined) break;
    text += piece;
  }
  return text;
}
