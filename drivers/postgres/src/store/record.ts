import { Buffer } from "node:buffer";
import type { StoreRecord } from "@micro-es/runtime";
import type { Row } from "../link/session.ts";

/** The columns of a record, for {@link recordOf}. */
export const recordColumns = "key, version, value, metadata, expires_at";

/** The record in a row of {@link recordColumns}. */
export function recordOf(row: Row): StoreRecord {
  const { version, value, metadata } = row;
  const expiresAt = expiryOf(row);
  return {
    key: keyOf(row),
    value: new Uint8Array(value as Buffer),
    version: BigInt(version as string),
    expiresAt: expiresAt === Number.POSITIVE_INFINITY ? undefined : new Date(expiresAt),
    metadata: Object.freeze(decodeMetadata(metadata as string | null)),
  };
}

export function keyOf({ key }: Row): string {
  return (key as Buffer).toString();
}

/** When a record expires, in wall-clock milliseconds; infinity if it does not. */
export function expiryOf({ expires_at: at }: Row): number {
  return at === null || at === undefined ? Number.POSITIVE_INFINITY : Number(at);
}

/** Escapes what PostgreSQL's text cannot hold. */
export function encodeMetadata(metadata: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(metadata);
  return entries.length === 0 ? null : JSON.stringify(entries);
}

/** Anything else than the output of {@link encodeMetadata} is none. */
function decodeMetadata(text: string | null): Record<string, string> {
  if (text === null) return {};
  try {
    const found: unknown = JSON.parse(text);
    if (!Array.isArray(found)) return {};
    return Object.fromEntries(
      found.filter(
        (pair) =>
          Array.isArray(pair) &&
          pair.length === 2 &&
          pair.every((part) => typeof part === "string"),
      ),
    );
  } catch {
    return {};
  }
}

/** The first key after all those with a prefix: no UTF-8 text has this byte. */
export function endOfPrefix(prefix: string): Buffer {
  return Buffer.concat([Buffer.from(prefix), Buffer.from([0xff])]);
}
