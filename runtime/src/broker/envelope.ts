import { randomUUID } from "node:crypto";
import { MicroError } from "../base/error.ts";
import { Metadata, maxMetadataBytes } from "../base/metadata.ts";
import { checkJsonElements } from "../codec/json-elements.ts";
import { reservedEventKeys } from "./broker.ts";
import { checkDescription, checkTopic, type EventRecord, tooLarge } from "./event.ts";

/**
 * An event on go-micro's HTTP and NATS brokers: the JSON of its
 * `Message{Header map[string]string, Body []byte}`, with the body in padded base64. Header names
 * are case-insensitive.
 */
interface Envelope {
  readonly Header: Readonly<Record<string, string>>;
  readonly Body: string;
}

/**
 * Maximum number of values in an envelope's JSON, including names: enough for the maximum number of
 * headers in metadata and as many again that are left out of it.
 */
const maxElements = 1_024;

/** The maximum size of an envelope whose body has this many bytes, in bytes. */
export function maxEnvelopeBytes(maxEventBytes: number): number {
  // Base64, plus headers in which JSON may escape every character as six.
  return Math.ceil(maxEventBytes / 3) * 4 + 6 * maxMetadataBytes + 16 * 1024;
}

/** The header of a go-micro event: all of an event but its body. */
export function encodeGoMicroHeader(record: EventRecord): Readonly<Record<string, string>> {
  const { id, topic, contentType, typeName, key, metadata } = record;
  const header = new Map<string, string>();
  for (const name of new Set(Array.from(metadata, ([each]) => each))) {
    const values = metadata.getAll(name);
    header.set(
      titleCase(name),
      name.endsWith("-bin")
        ? values.map((value) => Buffer.from(value as Uint8Array).toString("base64")).join(",")
        : values.join(", "),
    );
  }
  header.set("Content-Type", contentType);
  header.set("Micro-Topic", topic);
  header.set("Micro-ID", id);
  if (typeName !== "") header.set("Micro-Type", typeName);
  if (key !== undefined) header.set("Micro-Key", key);
  return Object.fromEntries(header);
}

/** Encodes the event as an envelope. */
export function encodeEnvelope(record: EventRecord): Buffer {
  const { body } = record;
  const base64 = Buffer.from(body.buffer, body.byteOffset, body.length).toString("base64");
  const envelope: Envelope = { Header: encodeGoMicroHeader(record), Body: base64 };
  return Buffer.from(JSON.stringify(envelope));
}

/** A decoded event, and the headers that metadata cannot hold and that are left out of it. */
export interface DecodedEnvelope {
  readonly record: EventRecord;
  readonly skipped: readonly string[];
}

/**
 * Decodes an envelope from any sender.
 * @param defaultTopic the topic of an event whose header does not name one.
 * @param defaultId the id of an event whose header has none.
 * @throws MicroError `invalid_argument` when it is not a valid envelope or names no topic,
 * `resource_exhausted` when its body or headers exceed the limit.
 */
export function decodeEnvelope(
  bytes: Buffer,
  maxEventBytes: number,
  defaultTopic?: string,
  defaultId?: string,
): DecodedEnvelope {
  const { header, body } = parse(bytes);
  const bodyOf = (topic: string) => decodeBody(topic, body, maxEventBytes);
  return decodeGoMicroEvent(header, bodyOf, defaultTopic, defaultId);
}

/**
 * Decodes an event of go-micro whose header and body are separate.
 * @param bodyOf the body of an event on a topic.
 * @throws MicroError as {@link decodeEnvelope}, and what `bodyOf` throws.
 */
export function decodeGoMicroEvent(
  header: Readonly<Record<string, unknown>>,
  bodyOf: (topic: string) => Uint8Array,
  defaultTopic?: string,
  defaultId?: string,
): DecodedEnvelope {
  const known = new Map<string, string>();
  const metadata = new Metadata();
  const skipped: string[] = [];
  for (const [name, value] of Object.entries(header)) {
    const key = name.toLowerCase();
    if (typeof value !== "string") throw malformed(`header ${shown(name)} is not a string`);
    if (reservedEventKeys.includes(key)) known.set(key, value);
    else if (!append(metadata, key, value)) skipped.push(name.slice(0, 64));
  }
  metadata.encode();
  const topic = known.get("micro-topic") ?? defaultTopic;
  if (topic === undefined) throw malformed("header Micro-Topic is missing");
  checkTopic(topic);
  const described = {
    id: known.get("micro-id") || (defaultId ?? randomUUID()),
    contentType: known.get("content-type") || defaultContentType,
    typeName: known.get("micro-type") ?? "",
    key: known.get("micro-key") ?? "",
  };
  checkDescription(topic, described);
  const record: EventRecord = {
    ...described,
    topic,
    body: bodyOf(topic),
    key: described.key === "" ? undefined : described.key,
    metadata,
  };
  return { record, skipped };
}

/** The content type that a go-micro subscriber assumes for an event without one. */
const defaultContentType = "application/protobuf";

function parse(bytes: Buffer): {
  readonly header: Readonly<Record<string, unknown>>;
  readonly body: unknown;
} {
  checkJsonElements(bytes, maxElements, "an event envelope");
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw malformed("it is not JSON", cause);
  }
  if (!isObject(json)) throw malformed("it is not a JSON object");
  let header: unknown;
  let body: unknown;
  for (const [name, value] of Object.entries(json)) {
    if (name.toLowerCase() === "header") header = value;
    else if (name.toLowerCase() === "body") body = value;
  }
  if (!isObject(header)) throw malformed("Header is not an object");
  return { header, body };
}

function decodeBody(topic: string, body: unknown, maxEventBytes: number): Uint8Array {
  if (body === null || body === undefined) return new Uint8Array(0);
  if (typeof body !== "string") throw malformed("Body is not a string");
  const bytes = Buffer.from(body, "base64");
  // Node skips characters that are not base64, so a body containing them decodes to fewer bytes
  // than its length implies.
  if (body.length % 4 !== 0 || bytes.length !== Buffer.byteLength(body, "base64")) {
    throw malformed("Body is not base64");
  }
  if (bytes.length > maxEventBytes) throw tooLarge(topic, bytes.length, maxEventBytes);
  return bytes;
}

function append(metadata: Metadata, key: string, value: string): boolean {
  try {
    if (key.endsWith("-bin")) {
      for (const each of value.split(","))
        metadata.append(key, new Uint8Array(Buffer.from(each, "base64")));
    } else {
      metadata.append(key, value);
    }
    return true;
  } catch (error) {
    if (error instanceof MicroError && error.code === "invalid_argument") return false;
    throw error;
  }
}

/** Go's `strings.Title`, which go-micro's metadata applies when it does not find a key as given. */
function titleCase(key: string): string {
  return key.replace(/(^|[^a-z0-9_])([a-z])/g, (_, before: string, letter: string) => {
    return before + letter.toUpperCase();
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}

function malformed(what: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", `the event envelope cannot be read: ${what}`, {
    outcome: "not-executed",
    cause,
  });
}
