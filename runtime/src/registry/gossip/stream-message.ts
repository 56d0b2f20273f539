import { ByteReader, MalformedMessage } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { maxMembers, maxMessageBytes, maxPulledMembers, maxRecordsPerMember } from "./limits.ts";
import { type MemberUpdate, readUpdate, writeUpdate } from "./member-update.ts";
import type { PulledRecord, PulledSet, RecordSet, StoredRecord } from "./record-store.ts";

/** A request or a response on a stream, by the first byte of each. */
const kinds = { ping: 1, ack: 2, state: 3, pull: 4, records: 5 } as const;

export type StreamMessage =
  /** Asks whether the member with this id is there; the response is `ack`. */
  | { readonly kind: "ping" | "ack"; readonly id: string }
  /** All that the sender knows, itself first; the response is the same of the receiver. */
  | { readonly kind: "state"; readonly updates: readonly MemberUpdate[] }
  /** Asks for the records of members that changed after the versions the sender has. */
  | { readonly kind: "pull"; readonly wanted: readonly WantedRecords[] }
  | { readonly kind: "records"; readonly sets: readonly PulledSet[] };

export interface WantedRecords {
  readonly id: string;
  /** The version that the sender has; 0 for none. */
  readonly have: number;
}

const unchanged = 0xffff_ffff;

export function encodeStreamPing(kind: "ping" | "ack", id: string): Buffer {
  return new ByteWriter(16).u8(kinds[kind]).id(id).done();
}

export function encodeState(updates: readonly MemberUpdate[]): Buffer {
  const writer = new ByteWriter(64 + 32 * updates.length);
  writer.u8(kinds.state).u16(updates.length);
  for (const update of updates) writeUpdate(writer, update);
  return writer.done();
}

export function encodePull(wanted: readonly WantedRecords[]): Buffer {
  const writer = new ByteWriter(16 + 12 * wanted.length);
  writer.u8(kinds.pull).u16(wanted.length);
  for (const { id, have } of wanted) writer.id(id).u32(have);
  return writer.done();
}

/**
 * Encodes the sets that changed since the versions the receiver has; sets that no longer fit are
 * left out, and the receiver asks again.
 */
export function encodeRecords(
  wanted: readonly WantedRecords[],
  find: (id: string) => RecordSet | undefined,
): Buffer {
  const writer = new ByteWriter();
  writer.u8(kinds.records).u16(0);
  let count = 0;
  for (const { id, have } of wanted) {
    const set = find(id);
    if (set === undefined || set.version <= have) continue;
    // The size of the set bounds that of its encoding.
    if (writer.length + set.bytes + 32 * set.records.size + 32 > maxMessageBytes) continue;
    writer.id(id).u32(set.version).u16(set.records.size);
    for (const [key, record] of set.records) writeRecord(writer, key, record, have);
    count++;
  }
  writer.setU16(1, count);
  return writer.done();
}

function writeRecord(writer: ByteWriter, key: string, record: StoredRecord, have: number): void {
  const name = Buffer.from(key);
  writer.u16(name.length).bytes(name).u32(record.changedAt);
  if (record.changedAt <= have) writer.u32(unchanged);
  else writer.u32(record.bytes.length).bytes(record.bytes);
}

/** @throws MalformedMessage */
export function readStreamMessage(bytes: Uint8Array): StreamMessage {
  const reader = new ByteReader(bytes);
  const kind = reader.u8();
  const message = readBody(kind, reader);
  reader.end();
  return message;
}

function readBody(kind: number, reader: ByteReader): StreamMessage {
  switch (kind) {
    case kinds.ping:
      return { kind: "ping", id: reader.id() };
    case kinds.ack:
      return { kind: "ack", id: reader.id() };
    case kinds.state:
      return { kind: "state", updates: times(reader, maxMembers + 1, readUpdate) };
    case kinds.pull:
      return {
        kind: "pull",
        wanted: times(reader, maxPulledMembers, () => ({ id: reader.id(), have: reader.u32() })),
      };
    case kinds.records:
      return { kind: "records", sets: times(reader, maxPulledMembers, readSet) };
    default:
      throw new MalformedMessage(`unknown message ${kind}`);
  }
}

function readSet(reader: ByteReader): PulledSet {
  const id = reader.id();
  const version = reader.u32();
  return { id, version, records: times(reader, maxRecordsPerMember, readRecord) };
}

function readRecord(reader: ByteReader): PulledRecord {
  const key = reader.text(reader.u16());
  const changedAt = reader.u32();
  const length = reader.u32();
  return { key, changedAt, bytes: length === unchanged ? undefined : reader.bytes(length) };
}

/** Reads as many items as a count of two bytes says. */
function times<T>(reader: ByteReader, most: number, read: (reader: ByteReader) => T): T[] {
  const count = reader.u16();
  if (count > most) throw new MalformedMessage(`${count} items, over ${most}`);
  const items: T[] = [];
  for (let index = 0; index < count; index++) items.push(read(reader));
  return items;
}
