import { Buffer } from "node:buffer";
import type { StoreRecord } from "../store.ts";

/*
 * The contents of the file store, by the first byte of a key in the database:
 *
 *   "c"                               the counter that versions are taken from, 8 bytes
 *   "f" lock                          the largest fencing token received for a lock, 8 bytes
 *   "r" key                           a record
 *   "x" expiry (8 bytes) key          an entry of the expiry index, without a value
 *
 * A record: format (1 byte, 1), flags (1 byte), CRC-32 of the key and everything that follows (4),
 * version (8), expiry in milliseconds since 1970 (8, 0 for none), length of the metadata (4),
 * metadata as a JSON list of pairs, value. Numbers are big-endian. The database does not verify its
 * own checksums on reading, so ours detects damaged records.
 */

const format = 1;
const crcAt = 2;
const versionAt = 6;
const expiryAt = 14;
const metadataLengthAt = 22;
const metadataAt = 26;

export const counterKey: Buffer = Buffer.from("c");

export function recordKey(key: Uint8Array | string): Buffer {
  return Buffer.concat([Buffer.from("r"), typeof key === "string" ? Buffer.from(key) : key]);
}

export function expiryKey(expiresAt: number, key: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.write("x");
  head.writeBigUInt64BE(BigInt(expiresAt), 1);
  return Buffer.concat([head, key]);
}

/** The record's key bytes and the expiry in an entry of the expiry index. */
export function parseExpiryKey(entry: Buffer): { expiresAt: number; key: Buffer } {
  return { expiresAt: Number(entry.readBigUInt64BE(1)), key: entry.subarray(9) };
}

/** First key after the range of keys with this prefix. No key in use ends in 0xff. */
export function endOfPrefix(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1]!++;
  return end;
}

export function fenceKey(lock: string): Buffer {
  return Buffer.from(`f${lock}`);
}

export function encodeCounter(version: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(version);
  return bytes;
}

/** The contents of a stored record, without its key. */
export interface RecordContents {
  readonly version: bigint;
  readonly expiresAt: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly value: Uint8Array;
}

export function encodeRecord(key: Uint8Array, contents: RecordContents): Buffer {
  const metadata = Buffer.from(JSON.stringify(Object.entries(contents.metadata)));
  const bytes = Buffer.alloc(metadataAt + metadata.length + contents.value.length);
  bytes[0] = format;
  bytes.writeBigUInt64BE(contents.version, versionAt);
  bytes.writeBigUInt64BE(BigInt(contents.expiresAt ?? 0), expiryAt);
  bytes.writeUInt32BE(metadata.length, metadataLengthAt);
  metadata.copy(bytes, metadataAt);
  bytes.set(contents.value, metadataAt + metadata.length);
  bytes.writeUInt32BE(checksum(key, bytes), crcAt);
  return bytes;
}

/**
 * Decodes a record from the database; undefined if its bytes are damaged. The value shares the
 * memory of `bytes`.
 */
export function decodeRecord(key: Uint8Array, bytes: Buffer): RecordContents | undefined {
  if (bytes.length < metadataAt || bytes[0] !== format || bytes[1] !== 0) return undefined;
  if (bytes.readUInt32BE(crcAt) !== checksum(key, bytes)) return undefined;
  const valueAt = metadataAt + bytes.readUInt32BE(metadataLengthAt);
  const expiresAt = Number(bytes.readBigUInt64BE(expiryAt));
  const metadata = JSON.parse(bytes.toString("utf8", metadataAt, valueAt)) as [string, string][];
  return {
    version: bytes.readBigUInt64BE(versionAt),
    expiresAt: expiresAt === 0 ? undefined : expiresAt,
    metadata: Object.freeze(Object.fromEntries(metadata)),
    value: new Uint8Array(bytes.buffer, bytes.byteOffset + valueAt, bytes.length - valueAt),
  };
}

/** A record as returned to a reader. */
export function toStoreRecord(key: string, contents: RecordContents): StoreRecord {
  const { version, expiresAt, metadata, value } = contents;
  return {
    key,
    value: new Uint8Array(value),
    version,
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
    metadata,
  };
}

function checksum(key: Uint8Array, bytes: Buffer): number {
  // Every service imports this module, and zlib takes time to load that only services with a file
  // store need to spend.
  const { crc32 } = process.getBuiltinModule("node:zlib");
  return crc32(bytes.subarray(versionAt), crc32(bytes.subarray(0, crcAt), crc32(key)));
}
