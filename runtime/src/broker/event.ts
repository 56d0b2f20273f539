import { randomUUID } from "node:crypto";
import { abortError } from "../base/abort.ts";
import type { Deadline } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { LinkedSignal } from "../base/linked-signal.ts";
import { Metadata, type MetadataInit } from "../base/metadata.ts";
import { checkOptions } from "../base/option-check.ts";
import type { Account } from "../call/account.ts";
import { type ParentContext, selectMetadata } from "../call/call.ts";
import { copyOf } from "../codec/wire/slab.ts";
import {
  type IncomingEvent,
  type OutgoingEvent,
  type PublishOptions,
  reservedEventKeys,
} from "./broker.ts";
import { setEventDeadline } from "./event-deadline.ts";
import { publishKinds } from "./option-kinds.ts";

/** An event that a broker accepted: validated, complete and immutable. */
export interface EventRecord {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly typeName: string;
  readonly key: string | undefined;
  readonly metadata: Metadata;
  /**
   * Identifies the dead letter that this event was before it was republished, so that a broker
   * which deduplicates by id does not mistake it for the original event.
   */
  readonly replay?: string;
}

/** An event whose body no other code writes to, so that brokers that keep it need no copy. */
export class EncodedEvent implements OutgoingEvent {
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly typeName: string;
  readonly key: string | undefined;
  readonly metadata: MetadataInit | undefined;
  readonly id: string | undefined;

  constructor(
    body: Uint8Array,
    contentType: string,
    typeName: string,
    key: string | undefined,
    metadata: MetadataInit | undefined,
    id: string | undefined,
  ) {
    this.body = body;
    this.contentType = contentType;
    this.typeName = typeName;
    this.key = key;
    this.metadata = metadata;
    this.id = id;
  }
}

/** Default limit on the body of an event, in bytes. */
export const defaultMaxEventBytes: number = 4 * 1024 * 1024;

/** Maximum length of a topic name. */
export const maxTopicLength = 255;

/** Maximum length of a queue group name. */
export const maxQueueLength = 128;

/** Maximum length of an ordering key, in UTF-16 code units. */
export const maxKeyLength = 1024;

const namePattern = /^[A-Za-z0-9._-]+$/;
const visibleAscii = /^[\x21-\x7e]+$/;
const contentTypePattern = /^[\x20-\x7e]+$/;
const typeNamePattern = /^[A-Za-z0-9_.]*$/;

/** The most recent valid topic, content type and type name: most events repeat them. */
let lastTopic = "";
let lastContentType = "";
let lastTypeName = "";

/**
 * @throws MicroError `invalid_argument` when it is not a valid topic name; wildcards are not valid.
 */
export function checkTopic(topic: string): void {
  if (topic === lastTopic && topic !== "") return;
  checkName("topic", topic, maxTopicLength);
  lastTopic = topic;
}

/** @throws MicroError `invalid_argument` when it is not a valid queue group name. */
export function checkQueue(queue: string): void {
  checkName("queue", queue, maxQueueLength);
}

function checkName(what: string, name: string, longest: number): void {
  if (typeof name === "string" && name.length <= longest && namePattern.test(name)) return;
  const shown = JSON.stringify(String(name).slice(0, 64));
  throw refused(
    `${what} ${shown} is not allowed: use 1 to ${longest} of A-Z, a-z, 0-9, ".", "_" and "-"`,
  );
}

/** A record of bytes that are not an event, from which only a dead letter is made. */
export function recordOfBytes(topic: string, id: string, body: Uint8Array): EventRecord {
  return {
    id,
    topic,
    body,
    contentType: "application/octet-stream",
    typeName: "",
    key: undefined,
    metadata: new Metadata(),
  };
}

/**
 * Converts a published event to the record that the broker accepts.
 * @param copies whether the record gets a copy of the body, because the publisher may keep writing
 * to its buffer while the broker keeps the record.
 * @throws MicroError `invalid_argument` or `resource_exhausted`, as {@link Broker.publish} does.
 */
export function eventRecord(
  topic: string,
  event: OutgoingEvent,
  options: PublishOptions | undefined,
  maxEventBytes: number,
  copies = false,
): EventRecord {
  checkTopic(topic);
  if (options !== undefined) {
    checkOptions<PublishOptions>(`publish to ${topic}`, options, publishKinds);
  }
  const { body, contentType, typeName, key, id } = event;
  if (!(body instanceof Uint8Array))
    throw refused(`an event on ${topic} needs a Uint8Array as body`);
  if (body.length > maxEventBytes) throw tooLarge(topic, body.length, maxEventBytes);
  checkDescription(topic, event);
  return {
    id: id ?? randomUUID(),
    topic,
    body: copies && !(event instanceof EncodedEvent) ? copyOf(body, 0, body.length) : body,
    contentType,
    typeName,
    key: key === "" ? undefined : key,
    metadata: outgoingMetadata(topic, event, options),
  };
}

/**
 * Validates the description of a body, from a local or a remote publisher.
 * @throws MicroError `invalid_argument`.
 */
export function checkDescription(
  topic: string,
  event: Pick<OutgoingEvent, "contentType" | "typeName" | "key" | "id">,
): void {
  const { contentType, typeName, key, id } = event;
  if (contentType !== lastContentType || contentType === "") {
    if (!contentTypePattern.test(contentType) || contentType.length > 255) {
      throw refused(`an event on ${topic} needs a content type, such as application/protobuf`);
    }
    lastContentType = contentType;
  }
  if (typeName !== lastTypeName) {
    if (!typeNamePattern.test(typeName) || typeName.length > 512) {
      throw refused(`an event on ${topic} has a type name that is not one of a message`);
    }
    lastTypeName = typeName;
  }
  if (key !== undefined && key.length > maxKeyLength) {
    throw refused(
      `an event on ${topic} has a key of ${key.length} characters; ${maxKeyLength} are allowed`,
    );
  }
  if (id !== undefined && (id.length > 255 || !visibleAscii.test(id))) {
    throw refused(`an event on ${topic} has an id that is not 1 to 255 visible ASCII characters`);
  }
}

/**
 * Publishes with the signal that cancels it: the publisher's own, or that of the call that caused
 * the publication.
 */
export async function withCancellation<T>(
  { signal, context }: PublishOptions,
  publish: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (signal === undefined || context === undefined) return publish(signal ?? context?.signal);
  const linked = new LinkedSignal(signal, context.signal);
  try {
    return await publish(linked.signal);
  } finally {
    linked.release();
  }
}

/**
 * The error for a publication whose signal aborted, either before the event was sent or when it may
 * have been sent.
 */
export function abortedPublication(reason: unknown, mayBeSent: boolean): MicroError {
  const error = abortError(reason);
  if (!mayBeSent) return error;
  return new MicroError(error.code, error.message, { cause: reason, outcome: "unknown" });
}

/** Metadata key of bearer tokens. */
const tokenKey = "authorization";

/** Every subscriber would have the token, and dead letters would keep it for days. */
function tokenInEvent(topic: string): MicroError {
  return refused(
    `an event on ${topic} has metadata ${tokenKey}, which every subscriber could use; sign events instead (events.sign)`,
  );
}

/** The metadata of every event without any; records are never changed. */
const noMetadata = new Metadata();

/**
 * Merges the metadata propagated from the context with that of the event, which takes precedence.
 */
function outgoingMetadata(
  topic: string,
  event: OutgoingEvent,
  options: PublishOptions | undefined,
): Metadata {
  const propagated = options?.context?.propagatedMetadata;
  if (
    event.metadata === undefined &&
    options?.deadline === undefined &&
    (propagated === undefined || propagated.isEmpty)
  ) {
    return noMetadata;
  }
  const metadata = new Metadata(propagated);
  for (const key of reservedEventKeys) metadata.delete(key);
  metadata.delete(tokenKey);
  if (event.metadata !== undefined) {
    const own = new Metadata(event.metadata);
    for (const key of reservedEventKeys) {
      if (own.has(key)) {
        throw refused(
          `an event on ${topic} has metadata ${key}, which brokers use; take another key`,
        );
      }
    }
    if (own.has(tokenKey)) throw tokenInEvent(topic);
    metadata.assign(own);
  }
  setEventDeadline(metadata, options?.deadline);
  metadata.encode();
  return metadata;
}

/** The error for an event whose body exceeds the limit. */
export function tooLarge(topic: string, bytes: number, limit: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `an event of ${bytes} bytes on ${topic} is over the limit of ${limit}; publish a reference to large data, or raise maxEventBytes at publishers and subscribers`,
    { outcome: "not-executed" },
  );
}

function refused(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}

/**
 * One delivery of an event, as its handler sees it. Rarely used properties are created on first
 * read.
 */
export class DeliveredEvent implements IncomingEvent {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly typeName: string;
  readonly key: string | undefined;
  readonly attempt: number;
  readonly deadline: Deadline;
  /** Set once the signature of the event is verified. */
  account: Account | undefined = undefined;

  readonly #received: Metadata;
  readonly #propagate: readonly string[];
  #metadata: Metadata | undefined = undefined;
  #propagated: Metadata | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #cancelled: MicroError | undefined = undefined;

  constructor(
    record: EventRecord,
    attempt: number,
    deadline: Deadline,
    propagate: readonly string[],
  ) {
    this.id = record.id;
    this.topic = record.topic;
    this.body = record.body;
    this.contentType = record.contentType;
    this.typeName = record.typeName;
    this.key = record.key;
    this.attempt = attempt;
    this.deadline = deadline;
    this.#received = record.metadata;
    this.#propagate = propagate;
  }

  get context(): ParentContext {
    return this;
  }

  /** A copy, because several subscribers and attempts share the published event. */
  get metadata(): Metadata {
    this.#metadata ??= new Metadata(this.#received);
    return this.#metadata;
  }

  get propagatedMetadata(): Metadata {
    this.#propagated ??= selectMetadata(this.#received, this.#propagate);
    return this.#propagated;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelled !== undefined) this.#controller.abort(this.#cancelled);
    }
    return this.#controller.signal;
  }

  /** Aborts the signal. Only the first reason counts. */
  cancel(reason: MicroError): void {
    if (this.#cancelled !== undefined) return;
    this.#cancelled = reason;
    this.#controller?.abort(reason);
  }
}
