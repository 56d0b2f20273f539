import { Buffer } from "node:buffer";
import { Metadata, MicroError } from "@micro-es/runtime";
import {
  checkDescription,
  type EventRecord,
  recordOfBytes,
  tooLarge,
} from "@micro-es/runtime/driver";
import type { Argument, Reply } from "../link/connection.ts";

/** An entry of a stream. */
export interface StreamEntry {
  readonly id: string;
  /** Names and values that follow each other; null for an entry that was trimmed. */
  readonly fields: readonly Buffer[] | null;
}

/**
 * The fields of an event: `id`, `ct` for the content type, `ty` for the type, `k` for the key, `m`
 * for metadata, `r` for a dead letter that was replayed, and `b` for the body. Absent values have
 * no field.
 */
export function encodeEvent(record: EventRecord): readonly Argument[] {
  const { id, contentType, typeName, key, metadata, replay, body } = record;
  const fields: Argument[] = ["id", id, "ct", contentType];
  if (typeName !== "") fields.push("ty", typeName);
  if (key !== undefined) fields.push("k", key);
  if (!metadata.isEmpty) fields.push("m", metadata.encode());
  if (replay !== undefined) fields.push("r", replay);
  fields.push("b", body);
  return fields;
}

/**
 * Decodes an event, whichever program added it.
 * @throws MicroError `invalid_argument` or `resource_exhausted` when it is not valid.
 */
export function decodeEvent(
  topic: string,
  fields: readonly Buffer[],
  maxBytes: number,
): EventRecord {
  const found = new Map<string, Buffer>();
  for (let index = 0; index + 1 < fields.length; index += 2) {
    found.set(String(fields[index]), fields[index + 1] as Buffer);
  }
  const text = (name: string) => found.get(name)?.toString() ?? "";
  const body = found.get("b");
  if (body === undefined || !found.has("id")) {
    throw new MicroError("invalid_argument", "it has no fields id and b");
  }
  if (body.length > maxBytes) throw tooLarge(topic, body.length, maxBytes);
  const described = {
    id: text("id"),
    contentType: text("ct") || "application/octet-stream",
    typeName: text("ty"),
    key: text("k"),
  };
  checkDescription(topic, described);
  const metadata = Metadata.decode(found.get("m") ?? new Uint8Array());
  // It is decoded at its first use, where an error would be the handler's.
  metadata.has("micro-id");
  const key = described.key === "" ? undefined : described.key;
  const record = { ...described, key, topic, body, metadata };
  const replay = text("r");
  return replay === "" ? record : { ...record, replay };
}

/** Represents an entry that is not an event, from which only a dead letter is made. */
export function undecodedEvent(topic: string, { id, fields }: StreamEntry): EventRecord {
  return recordOfBytes(
    topic,
    `entry-${id}`,
    Buffer.concat((fields ?? []).slice(0, 16)).subarray(0, 65_536),
  );
}

/** The entries in a reply of XRANGE, or of one stream. */
export function entriesOf(reply: Reply): readonly StreamEntry[] {
  return ((reply ?? []) as readonly Reply[]).flatMap((entry): StreamEntry[] => {
    const [id, fields] = (entry ?? []) as readonly [Buffer?, (readonly Buffer[] | null)?];
    return id === undefined ? [] : [{ id: id.toString(), fields: fields ?? null }];
  });
}

/** The entries in a reply of XREAD or XREADGROUP, by stream. */
export function streamsOf(reply: Reply): ReadonlyMap<string, readonly StreamEntry[]> {
  const streams = (reply ?? []) as readonly (readonly [Buffer, Reply])[];
  return new Map(streams.map(([stream, entries]) => [stream.toString(), entriesOf(entries)]));
}
