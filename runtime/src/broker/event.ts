import { randomUUID } from "node:crypto";
import { type ParentContext, selectMetadata } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { Metadata } from "../metadata.ts";
import {
  type IncomingEvent,
  type OutgoingEvent,
  type PublishOptions,
  reservedEventKeys,
} from "./broker.ts";
import { setEventDeadline } from "./event-deadline.ts";

/** An event that a broker took: checked, complete, and never changed from then on. */
export interface EventRecord {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly typeName: string;
  readonly key: string | undefined;
  readonly metadata: Metadata;
  /**
   * Names the dead letter that this event was before it was published again, so that a broker which keeps an id once
   * does not take it for the event before.
   */
  readonly replay?: string;
}

/** The largest body of an event, in bytes, unless a broker is told otherwise. */
export const defaultMaxEventBytes: number = 4 * 1024 * 1024;

/** The longest name of a topic. */
export const maxTopicLength = 255;

/** The longest name of a queue group. */
export const maxQueueLength = 128;

/** The longest ordering key, in UTF-16 code units. */
export const maxKeyLength = 1024;

const namePattern = /^[A-Za-z0-9._-]+$/;
const visibleAscii = /^[\x21-\x7e]+$/;
const contentTypePattern = /^[\x20-\x7e]+$/;
const typeNamePattern = /^[A-Za-z0-9_.]*$/;

/** @throws MicroError `invalid_argument` when it is no name for a topic; wildcards are none. */
export function checkTopic(topic: string): void {
  checkName("topic", topic, maxTopicLength);
}

/** @throws MicroError `invalid_argument` when it is no name for a queue group. */
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

/**
 * What a publisher gave, as the event that the broker takes. The body is not copied.
 * @throws MicroError `invalid_argument` or `resource_exhausted`, as {@link Broker.publish} does.
 */
export function eventRecord(
  topic: string,
  event: OutgoingEvent,
  options: PublishOptions | undefined,
  maxEventBytes: number,
): EventRecord {
  checkTopic(topic);
  const { body, contentType, typeName, key, id } = event;
  if (!(body instanceof Uint8Array))
    throw refused(`an event on ${topic} needs a Uint8Array as body`);
  if (body.length > maxEventBytes) throw tooLarge(topic, body.length, maxEventBytes);
  checkDescription(topic, event);
  return {
    id: id ?? randomUUID(),
    topic,
    body,
    contentType,
    typeName,
    key: key === "" ? undefined : key,
    metadata: outgoingMetadata(topic, event, options),
  };
}

/**
 * Checks what is said about a body, by a publisher here or by one out there.
 * @throws MicroError `invalid_argument`.
 */
export function checkDescription(
  topic: string,
  event: Pick<OutgoingEvent, "contentType" | "typeName" | "key" | "id">,
): void {
  const { contentType, typeName, key, id } = event;
  if (!contentTypePattern.test(contentType) || contentType.length > 255) {
    throw refused(`an event on ${topic} needs a content type, such as application/protobuf`);
  }
  if (!typeNamePattern.test(typeName) || typeName.length > 512) {
    throw refused(`an event on ${topic} has a type name that is not one of a message`);
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

/** What ends the wait of a publisher: its own signal, or that of the call on whose behalf it publishes. */
export function cancellation({ signal, context }: PublishOptions): AbortSignal | undefined {
  if (context === undefined) return signal;
  return signal === undefined ? context.signal : AbortSignal.any([signal, context.signal]);
}

/** The metadata that propagates from the context, under that of the event itself. */
function outgoingMetadata(
  topic: string,
  event: OutgoingEvent,
  options: PublishOptions | undefined,
): Metadata {
  const metadata = new Metadata(options?.context?.propagatedMetadata);
  for (const key of reservedEventKeys) metadata.delete(key);
  if (event.metadata !== undefined) {
    const own = new Metadata(event.metadata);
    for (const key of reservedEventKeys) {
      if (own.has(key)) {
        throw refused(
          `an event on ${topic} has metadata ${key}, which brokers use; take another key`,
        );
      }
    }
    metadata.assign(own);
  }
  setEventDeadline(metadata, options?.deadline);
  metadata.encode();
  return metadata;
}

/** The error for an event whose body is over the limit. */
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

/** One delivery of an event, as its handler sees it. What few handlers ask for is made when first read. */
export class DeliveredEvent implements IncomingEvent {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly typeName: string;
  readonly key: string | undefined;
  readonly attempt: number;
  readonly deadline: Deadline;

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

  /** A copy of its own, because several subscribers and attempts share what was published. */
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

  /** Fires the signal. Only the first reason counts. */
  cancel(reason: MicroError): void {
    if (this.#cancelled !== undefined) return;
    this.#cancelled = reason;
    this.#controller?.abort(reason);
  }
}
