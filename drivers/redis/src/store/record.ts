import type { Buffer } from "node:buffer";
import type { StoreRecord } from "@micro-es/runtime";
import type { Reply } from "../link/connection.ts";

/** A change of a record, as it is published. */
export type RecordChange =
  | { readonly key: string; readonly version: bigint; readonly record: StoreRecord }
  | { readonly key: string; readonly version: bigint; readonly record: undefined };

/** The metadata of a record, as text. */
export function encodeMetadata(metadata: Readonly<Record<string, string>>): string {
  const entries = Object.entries(metadata);
  return entries.length === 0 ? "" : JSON.stringify(entries);
}

/**
 * The record in the values of its hash: value, metadata, expiry and version; undefined if another
 * program wrote them.
 */
export function recordOf(key: string, values: readonly Reply[]): StoreRecord | undefined {
  const [value, metadata, expires, version] = values.map((each) => each as Buffer | null);
  if (value == null || version == null) return undefined;
  return makeRecord(key, value, String(metadata ?? ""), String(expires ?? ""), String(version));
}

/** Parses a published change; undefined if another program published it. */
export function changeOf(payload: Buffer): RecordChange | undefined {
  const end = payload.indexOf("\n");
  const words = payload.toString("latin1", 0, Math.max(0, end)).split(" ");
  const [type, version = "", keyBytes, metadataBytes, expires = ""] = words;
  if ((type !== "written" && type !== "deleted") || !/^\d{1,20}$/.test(version)) return undefined;
  const keyEnd = end + 1 + Number(keyBytes);
  const metadataEnd = keyEnd + Number(metadataBytes);
  if (!(metadataEnd <= payload.length)) return undefined;
  const key = payload.toString("utf8", end + 1, keyEnd);
  if (type === "deleted") return { key, version: BigInt(version), record: undefined };
  const metadata = payload.toString("utf8", keyEnd, metadataEnd);
  const record = makeRecord(key, payload.subarray(metadataEnd), metadata, expires, version);
  return record === undefined ? undefined : { key, version: record.version, record };
}

function makeRecord(
  key: string,
  value: Uint8Array,
  metadata: string,
  expires: string,
  version: string,
): StoreRecord | undefined {
  if (!/^\d{1,20}$/.test(version)) return undefined;
  const expiresAt = expires === "" ? undefined : new Date(Number(expires));
  return {
    key,
    value: new Uint8Array(value),
    version: BigInt(version),
    expiresAt: Number.isNaN(expiresAt?.getTime()) ? undefined : expiresAt,
    metadata: decodeMetadata(metadata),
  };
}

function decodeMetadata(text: string): Readonly<Record<string, string>> {
  if (text === "") return Object.freeze({});
  try {
    const entries: unknown = JSON.parse(text);
    const pairs = Array.isArray(entries) ? entries : [];
    const isPair = (pair: unknown) =>
      Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string");
    return Object.freeze(Object.fromEntries(pairs.filter(isPair)));
  } catch {
    // Written by another program.
    return Object.freeze({});
  }
}
