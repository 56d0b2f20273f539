import { Buffer } from "node:buffer";
import { Metadata, MicroError } from "@micro-es/runtime";
import {
  checkDescription,
  type EventRecord,
  recordOfBytes,
  reservedEventKeys,
  tooLarge,
} from "@micro-es/runtime/driver";

/** A record of a partition, without its position. */
export interface KafkaContent {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

/** A record as it was read. */
export interface ReadRecord extends KafkaContent {
  readonly partition: number;
  readonly offset: number;
  readonly at: Date;
}

/** A record to produce. */
export interface NewRecord {
  readonly key: Buffer | undefined;
  readonly value: Buffer | undefined;
  /** A name may be there several times. */
  readonly headers: Map<Buffer, Buffer>;
}

const idHeader = "micro-id";
const typeHeader = "micro-type";
const contentTypeHeader = "content-type";
const replayHeader = "micro-replay";
/** Header of a record that drops the dead letter at an offset of its partition. */
const droppedHeader = "micro-dropped";

const reserved: ReadonlySet<string> = new Set([...reservedEventKeys, droppedHeader]);
const defaultContentType = "application/octet-stream";

/**
 * An event as a record: its key and body are those of the record; id, content type, type and each
 * value of its metadata are headers.
 */
export function encodeEvent(record: EventRecord): NewRecord {
  const { id, contentType, typeName, key, metadata, replay, body } = record;
  const headers = new Map<Buffer, Buffer>();
  const add = (name: string, value: string | Uint8Array) =>
    headers.set(
      Buffer.from(name),
      typeof value === "string" ? Buffer.from(value) : bufferOf(value),
    );
  add(idHeader, id);
  add(contentTypeHeader, contentType);
  if (typeName !== "") add(typeHeader, typeName);
  if (replay !== undefined) add(replayHeader, replay);
  if (!metadata.isEmpty) for (const [name, value] of metadata) add(name, value);
  return {
    key: key === undefined ? undefined : Buffer.from(key),
    value: bufferOf(body),
    headers,
  };
}

/** Drops the dead letter at an offset of the partition. */
export function encodeDrop(offset: number): NewRecord {
  const headers = new Map([[Buffer.from(droppedHeader), Buffer.from(String(offset))]]);
  return { key: undefined, value: undefined, headers };
}

/** The offset whose dead letter a record drops; undefined for any other record. */
export function droppedBy({ value, headers }: KafkaContent): number | undefined {
  if (value !== null) return undefined;
  const [name, offset] = headers[0] ?? [];
  if (name?.toString() !== droppedHeader) return undefined;
  const text = offset?.toString() ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * Decodes an event, whichever program produced it. A record without headers of ours is one with an
 * id made of its position.
 * @throws MicroError `invalid_argument` or `resource_exhausted` when it is not valid.
 */
export function decodeEvent(topic: string, record: ReadRecord, maxBytes: number): EventRecord {
  const body = record.value ?? Buffer.alloc(0);
  if (body.length > maxBytes) throw tooLarge(topic, body.length, maxBytes);
  const found = new Map<string, string>();
  const metadata = new Metadata();
  for (const [name, value] of record.headers) {
    const text = name?.toString() ?? "";
    if (reserved.has(text.toLowerCase())) found.set(text.toLowerCase(), value?.toString() ?? "");
    else addMetadata(metadata, text, value);
  }
  const key = record.key === null || record.key.length === 0 ? undefined : record.key.toString();
  const described = {
    id: found.get(idHeader) ?? idOf(record),
    contentType: found.get(contentTypeHeader) ?? defaultContentType,
    typeName: found.get(typeHeader) ?? "",
    key,
  };
  checkDescription(topic, described);
  const replay = found.get(replayHeader);
  const event = { ...described, topic, body, metadata };
  return replay === undefined ? event : { ...event, replay };
}

/** Represents a record that is not an event, from which only a dead letter is made. */
export function undecodedEvent(topic: string, record: ReadRecord): EventRecord {
  return recordOfBytes(topic, idOf(record), (record.value ?? Buffer.alloc(0)).subarray(0, 65_536));
}

function idOf({ partition, offset }: ReadRecord): string {
  return `record-${partition}-${offset}`;
}

/** Headers of other programs that metadata cannot have are left out. */
function addMetadata(metadata: Metadata, name: string, value: Buffer | null): void {
  if (value === null) return;
  try {
    metadata.append(name, name.toLowerCase().endsWith("-bin") ? value : value.toString());
  } catch (error) {
    if (!(error instanceof MicroError)) throw error;
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
