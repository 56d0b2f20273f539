import type { StoreRecord } from "@micro-es/runtime";

/** A record as commands show it: its value as text if it is text, else as base64. */
export interface ShownRecord {
  readonly key: string;
  readonly version: string;
  readonly expiresAt?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly text?: string;
  readonly base64?: string;
}

export function shownRecord({
  key,
  value,
  version,
  expiresAt,
  metadata,
}: StoreRecord): ShownRecord {
  const bytes = Buffer.from(value);
  const text = bytes.toString("utf8");
  const isText = Buffer.from(text).equals(bytes) && !text.includes("\0");
  return {
    key,
    version: String(version),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
    metadata,
    ...(isText ? { text } : { base64: bytes.toString("base64") }),
  };
}
