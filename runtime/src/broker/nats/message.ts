import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { type MsgHdrs, headers as makeHeaders } from "nats";
import { MicroError } from "../../error.ts";
import { Metadata } from "../../metadata.ts";
import { reservedEventKeys } from "../broker.ts";
import { decodeEnvelope } from "../envelope.ts";
import { checkDescription, type EventRecord, tooLarge } from "../event.ts";

/*
 * An event on NATS: the body is the message's data, everything else stands in its headers. `Content-Type`,
 * `Micro-ID` and `Micro-Type` as they are, `Micro-Replay` where it was a dead letter, `Micro-Key` percent-encoded, metadata under its own keys with bytes in
 * base64. A message without a `Micro-ID` was written by somebody else: by go-micro, whose events are JSON, or by a
 * program that knows neither, whose events are bytes.
 */

export function encodeHeaders(record: EventRecord): MsgHdrs {
  const headers = makeHeaders();
  for (const [name, value] of record.metadata) {
    headers.append(name, typeof value === "string" ? value : Buffer.from(value).toString("base64"));
  }
  headers.set("Content-Type", record.contentType);
  headers.set("Micro-ID", record.id);
  if (record.replay !== undefined) headers.set("Micro-Replay", record.replay);
  if (record.typeName !== "") headers.set("Micro-Type", record.typeName);
  if (record.key !== undefined)
    headers.set("Micro-Key", encodeURIComponent(Buffer.from(record.key).toString()));
  return headers;
}

/** What of a NATS message an event is read from. */
export interface NatsMessage {
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs | undefined;
}

/**
 * Reads an event, whoever wrote it.
 * @throws MicroError `invalid_argument` or `resource_exhausted` when it is none.
 */
export function decodeMessage(
  topic: string,
  message: NatsMessage,
  maxEventBytes: number,
): EventRecord {
  const { data, headers } = message;
  if (headers?.has("Micro-ID") !== true) return decodeForeign(topic, message, maxEventBytes);
  if (data.length > maxEventBytes) throw tooLarge(topic, data.length, maxEventBytes);
  const metadata = new Metadata();
  for (const [name, values] of headers) {
    const key = name.toLowerCase();
    if (reservedEventKeys.includes(key) || key.startsWith("nats-")) continue;
    for (const value of values) append(metadata, key, value);
  }
  // Its size is checked here, and not when a handler reads it.
  metadata.encode();
  const described = {
    id: headers.get("Micro-ID"),
    contentType: headers.get("Content-Type") || "application/octet-stream",
    typeName: headers.get("Micro-Type"),
    key: decodeKey(headers.get("Micro-Key")),
  };
  checkDescription(topic, described);
  const key = described.key === "" ? undefined : described.key;
  const replay = headers.get("Micro-Replay");
  const record = { ...described, key, topic, body: data, metadata };
  return replay === "" ? record : { ...record, replay };
}

function decodeForeign(topic: string, message: NatsMessage, maxEventBytes: number): EventRecord {
  const { data, headers } = message;
  if (data[0] === 0x7b) {
    try {
      const { record } = decodeEnvelope(Buffer.from(data), maxEventBytes, topic);
      return { ...record, topic };
    } catch (error) {
      if (error instanceof MicroError && error.code === "resource_exhausted") throw error;
      // Some other JSON, and an event of its own.
    }
  }
  if (data.length > maxEventBytes) throw tooLarge(topic, data.length, maxEventBytes);
  const contentType = headers?.get("Content-Type") || "application/octet-stream";
  return {
    id: randomUUID(),
    topic,
    body: data,
    contentType: /^[\x20-\x7e]{1,255}$/.test(contentType)
      ? contentType
      : "application/octet-stream",
    typeName: "",
    key: undefined,
    metadata: new Metadata(),
  };
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Headers that metadata cannot hold are left out. */
function append(metadata: Metadata, key: string, value: string): void {
  try {
    metadata.append(
      key,
      key.endsWith("-bin") ? new Uint8Array(Buffer.from(value, "base64")) : value,
    );
  } catch (error) {
    if (!(error instanceof MicroError && error.code === "invalid_argument")) throw error;
  }
}

/** @throws MicroError `invalid_argument` for a topic that has an empty part, which no NATS subject may have. */
export function checkSubject(topic: string): void {
  if (!topic.split(".").includes("")) return;
  throw new MicroError(
    "invalid_argument",
    `topic ${JSON.stringify(topic.slice(0, 64))} has an empty part, which NATS does not allow`,
    { outcome: "not-executed" },
  );
}

/** The limit of a body unless told otherwise, in bytes: a server takes 1 MiB with the headers. */
export const defaultMaxNatsEventBytes = 1_000_000;
