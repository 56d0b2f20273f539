import { Buffer } from "node:buffer";
import type { StoreRecord } from "@micro-es/runtime";
import type { EtcdEntry } from "../link/entries.ts";

/** The properties of a record that are stored with its value. */
export interface RecordProperties {
  readonly metadata: Readonly<Record<string, string>>;
  /** Wall-clock milliseconds; undefined if the record does not expire. */
  readonly expiresAt: number | undefined;
}

/** The largest token that changed a key, by lock. */
export type Fences = ReadonlyMap<string, bigint>;

/*
 * A value is stored as it is, so that `etcdctl get` shows it. One with metadata or an expiry comes
 * after a line of JSON that begins with this mark.
 */
const mark = Buffer.from("\0micro-es ");
const lineEnd = 0x0a;

export function encodeValue(value: Uint8Array, properties: RecordProperties): Uint8Array {
  const metadata = Object.entries(properties.metadata);
  const { expiresAt } = properties;
  if (metadata.length === 0 && expiresAt === undefined && !hasMark(value)) return value;
  const line = JSON.stringify({ expiresAt, metadata });
  return Buffer.concat([mark, Buffer.from(`${line}\n`), value]);
}

/** The record in an entry; the values of other programs are those of records without properties. */
export function recordOf(key: string, { value, revision }: EtcdEntry): StoreRecord {
  const { at, metadata, expiresAt } = propertiesOf(value);
  return {
    key,
    value: new Uint8Array(value.subarray(at)),
    version: revision,
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
    metadata: Object.freeze(metadata),
  };
}

/** When the record in a value expires, in wall-clock milliseconds; infinity if it does not. */
export function expiryOf(value: Uint8Array): number {
  return propertiesOf(value).expiresAt ?? Number.POSITIVE_INFINITY;
}

export function encodeFences(fences: Fences): Uint8Array {
  const tokens = [...fences].map(([lock, token]) => [lock, `${token}`]);
  return Buffer.from(JSON.stringify(tokens));
}

/** Decodes the output of {@link encodeFences}; anything else has no fences. */
export function decodeFences(bytes: Uint8Array): Fences {
  const fences = new Map<string, bigint>();
  for (const [lock, token] of pairsIn(parse(Buffer.from(bytes).toString()))) {
    if (/^\d{1,20}$/.test(token)) fences.set(lock, BigInt(token));
  }
  return fences;
}

/** @returns also where the value begins. */
function propertiesOf(bytes: Uint8Array): RecordProperties & { readonly at: number } {
  const none = { at: 0, metadata: {}, expiresAt: undefined };
  if (!hasMark(bytes)) return none;
  const end = bytes.indexOf(lineEnd);
  if (end === -1) return none;
  const found = parse(Buffer.from(bytes.subarray(mark.length, end)).toString());
  if (typeof found !== "object" || found === null) return none;
  const { expiresAt, metadata } = found as Record<string, unknown>;
  return {
    at: end + 1,
    metadata: Object.fromEntries(pairsIn(metadata)),
    expiresAt: typeof expiresAt === "number" && isDate(expiresAt) ? expiresAt : undefined,
  };
}

function hasMark(value: Uint8Array): boolean {
  return mark.equals(value.subarray(0, mark.length));
}

function isDate(time: number): boolean {
  return !Number.isNaN(new Date(time).getTime());
}

function pairsIn(value: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (pair) =>
      Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string"),
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
