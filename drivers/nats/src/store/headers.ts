import type { MsgHdrs } from "nats";

/** The properties of a record in its entry's headers. */
export interface RecordHeaders {
  readonly metadata: Readonly<Record<string, string>>;
  /** Wall-clock milliseconds; undefined if the record does not expire. */
  readonly expiresAt: number | undefined;
  /** The largest token that changed this key, by lock. */
  readonly fences: ReadonlyMap<string, bigint>;
}

const metadataHeader = "Micro-Metadata";
const expiresHeader = "Micro-Expires-At";
const fenceHeader = "Micro-Fence";

/** Headers of an entry; metadata and lock names, which may be any text, are percent-encoded. */
export function encodeHeaders(record: RecordHeaders): [string, string][] {
  const headers: [string, string][] = [];
  const pairs = Object.entries(record.metadata);
  if (pairs.length > 0) headers.push([metadataHeader, encodeURIComponent(JSON.stringify(pairs))]);
  if (record.expiresAt !== undefined) headers.push([expiresHeader, String(record.expiresAt)]);
  for (const [lock, token] of record.fences) {
    headers.push([fenceHeader, `${token} ${encodeURIComponent(lock)}`]);
  }
  return headers;
}

/**
 * Decodes the output of {@link encodeHeaders}; headers written by other programs count as absent.
 */
export function decodeHeaders(headers: MsgHdrs | undefined): RecordHeaders {
  const expires = headers?.get(expiresHeader) ?? "";
  const fences = new Map<string, bigint>();
  for (const text of headers?.values(fenceHeader) ?? []) {
    const [, token, lock] = /^(\d{1,20}) (\S+)$/.exec(text) ?? [];
    if (token !== undefined && lock !== undefined) fences.set(decodeText(lock), BigInt(token));
  }
  return {
    metadata: decodeMetadata(headers?.get(metadataHeader) ?? ""),
    expiresAt: /^\d{1,16}$/.test(expires) ? Number(expires) : undefined,
    fences,
  };
}

function decodeMetadata(text: string): Readonly<Record<string, string>> {
  if (text === "") return Object.freeze({});
  try {
    const pairs: unknown = JSON.parse(decodeText(text));
    if (!Array.isArray(pairs)) return Object.freeze({});
    const texts = pairs.filter(
      (pair) => Array.isArray(pair) && pair.every((part) => typeof part === "string"),
    );
    return Object.freeze(Object.fromEntries(texts) as Record<string, string>);
  } catch {
    return Object.freeze({});
  }
}

function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
