import { Buffer } from "node:buffer";
import { DeadlineSweep, monotonicNow } from "@micro-es/runtime/driver";
import { createInbox, type Msg, type NatsConnection, type Subscription } from "nats";
import type { NatsLink } from "../../link/link.ts";
import { publishMessage } from "../publish-message.ts";

/** Receives the result of a request; one of its methods is called, once. */
export interface StoreReceiver {
  stored(): void;
  /** @param isUnsure whether the stream may have stored the event all the same. */
  failed(isUnsure: boolean): void;
}

interface StoreRequest {
  readonly subject: string;
  readonly receiver: StoreReceiver;
  readonly dueAt: number;
}

/** How long closing waits for responses, in milliseconds. */
const closeGraceMs = 2_000;

/**
 * Requests to store events, whose responses arrive on one subscription. A request of the library
 * creates an error, a timer and several promises for each, which takes more time than the rest.
 */
export class StoreRequests {
  readonly #timeoutMs: number;
  /** By number, in order of sending, and so of their deadlines. */
  readonly #pending = new Map<number, StoreRequest>();
  readonly #sweep = new DeadlineSweep((now) => this.#expire(now), 50);
  readonly #stopListening: readonly (() => void)[];
  #connection: NatsConnection | undefined;
  #subscription: Subscription | undefined;
  #inbox = "";
  #last = 0;
  #onIdle: (() => void) | undefined;

  /** @param timeoutMs for a response, in milliseconds. */
  constructor(link: NatsLink, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#stopListening = [
      link.onLost(() => this.#failAll()),
      link.onDenied((subject) => this.#deny(subject)),
    ];
  }

  /** Never throws. */
  send(
    connection: NatsConnection,
    subject: string,
    headers: string,
    body: Uint8Array,
    receiver: StoreReceiver,
  ): void {
    const number = ++this.#last;
    try {
      if (this.#connection !== connection) this.#listen(connection);
      publishMessage(connection, subject, headers, body, `${this.#inbox}.${number}`);
    } catch {
      receiver.failed(false);
      return;
    }
    const dueAt = monotonicNow() + this.#timeoutMs;
    this.#pending.set(number, { subject, receiver, dueAt });
    this.#sweep.watch(dueAt);
  }

  /** Waits for the responses that are due, for a while, and fails the requests that have none. */
  async close(): Promise<void> {
    if (this.#pending.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, closeGraceMs);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#failAll();
    for (const stop of this.#stopListening) stop();
    this.#sweep.close();
    if (this.#connection?.isClosed() === false) this.#subscription?.unsubscribe();
  }

  #listen(connection: NatsConnection): void {
    this.#failAll();
    const inbox = createInbox();
    this.#subscription = connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        // Without permission to receive responses, the library reports why.
        if (error !== null) this.#failAll();
        else this.#receive(message);
      },
    });
    this.#inbox = inbox;
    this.#connection = connection;
  }

  #receive(message: Msg): void {
    const number = Number(message.subject.slice(this.#inbox.length + 1));
    const request = this.#pending.get(number);
    if (request === undefined) return;
    this.#pending.delete(number);
    if (isStored(message.data)) request.receiver.stored();
    else request.receiver.failed(false);
    if (this.#pending.size === 0) this.#onIdle?.();
  }

  #expire(now: number): number {
    for (const [number, { receiver, dueAt }] of this.#pending) {
      if (dueAt > now) return dueAt;
      this.#pending.delete(number);
      receiver.failed(true);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Fails the requests that the servers refused, because publishing on this subject is denied. */
  #deny(denied: string): void {
    for (const [number, { subject, receiver }] of this.#pending) {
      if (subject !== denied) continue;
      this.#pending.delete(number);
      receiver.failed(false);
    }
    if (this.#pending.size === 0) this.#onIdle?.();
  }

  #failAll(): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { receiver } of all) receiver.failed(true);
    this.#onIdle?.();
  }
}

/**
 * Whether a response says that the stream has the event. An error, and a response without data from
 * a server on which no stream listens, say that it does not.
 */
function isStored(data: Uint8Array): boolean {
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString();
  if (!text.startsWith('{"stream":"')) return false;
  return text[11] !== '"';
}
