import { type Deadline, deadlineAfter } from "../../base/deadline.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import type { ClientConnection } from "../../transport/native/client-connection.ts";
import type { OutgoingCall, UnaryReceiver } from "../../transport/transport.ts";
import type { EventRecord } from "../event.ts";
import { Fifo } from "../fifo.ts";
import {
  batchBytes,
  deliverMethod,
  eventBytes,
  eventResult,
  maxBatchEvents,
  type OutgoingEvents,
} from "./event-batch.ts";
import type { Acceptance } from "./local-subscriptions.ts";
import { type Target, unreachable } from "./subscriber-node.ts";

/** An event on its way to one subscriber. */
export interface LinkDelivery {
  readonly record: EventRecord;
  readonly target: Target;
  /**
   * Until when it must be accepted, if its connection was lost; it is sent on two connections at
   * most.
   */
  resentUntil: Deadline | undefined;
  /** Called with the response of the subscriber. */
  settled(outcome: Acceptance | MicroError): void;
  /** Called instead if there was no response. */
  lost(error: MicroError): void;
  /** Called instead if the event is to be posted over HTTP, and accepted by this time. */
  post(until?: Deadline): void;
  /** Called if its connection was lost after it was sent, before it is sent again. */
  mayHaveArrived(): void;
}

/** What a {@link EventLink} requires of the pool that it belongs to. */
export interface EventLinkOwner {
  /** Time limit for a batch, in milliseconds. */
  readonly timeoutMs: number;
  /** Time after which an unused connection is closed, in milliseconds. */
  readonly idleMs: number;
  /** Sends an event on another connection. */
  resend(delivery: LinkDelivery): void;
  /** The process did not respond to any batch: events for the address are posted for a while. */
  useHttp(address: string): void;
  /** The link accepts no further events, and still carries some. */
  retired(link: EventLink): void;
  /** The link accepts no further events, and carries none. */
  ended(link: EventLink): void;
}

/** The usual size of a batch under load, in bytes: both sides can work at once. */
const usualBatchBytes = 16 * 1024;
/** Batches on their way, without a response, on one connection; more events wait for them. */
const mostUnderWay = 64;

/** One connection to the process of one or more subscribers, which carries batches of events. */
export class EventLink {
  readonly address: string;
  readonly #owner: EventLinkOwner;
  #connection: ClientConnection | undefined;
  /** By subscription: the batch that is being filled. */
  readonly #filling = new Map<string, Batch>();
  /** Batches that wait for the connection or the window. */
  readonly #waiting = new Fifo<Batch>();
  #underWay = 0;
  #pumping = false;
  #scheduled = false;
  #ended = false;
  /** Whether a batch had no response in time, so that the connection is closed after the others. */
  #retired = false;
  /** How many batches may be under way. */
  #window = mostUnderWay;
  /** Whether a batch had a response. */
  #proven = false;
  #used = false;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(address: string, owner: EventLinkOwner) {
    this.address = address;
    this.#owner = owner;
  }

  /** Whether it accepts events. */
  get isOpen(): boolean {
    return (
      !this.#ended &&
      !this.#retired &&
      (this.#connection === undefined || this.#connection.state === "open")
    );
  }

  send(delivery: LinkDelivery): void {
    const { record, target } = delivery;
    const bytes = eventBytes(record);
    const { resentUntil } = delivery;
    let batch = this.#filling.get(target.id);
    if (batch !== undefined && !batch.takes(bytes, resentUntil)) {
      this.#waiting.push(batch);
      batch = undefined;
      if (this.#connection !== undefined) this.#pump();
    }
    if (batch === undefined) {
      batch = new Batch(this, target, resentUntil ?? deadlineAfter(this.#owner.timeoutMs));
      this.#filling.set(target.id, batch);
    }
    batch.add(delivery, bytes);
    if (this.#scheduled || this.#connection === undefined) return;
    this.#scheduled = true;
    process.nextTick(flushLink, this);
  }

  /** Sends what waits: the connection is established. */
  connected(connection: ClientConnection): void {
    this.#connection = connection;
    this.#window = Math.min(mostUnderWay, connection.peerSettings.maxConcurrentCalls);
    this.#idleTimer = setInterval(() => this.#closeIfIdle(), this.#owner.idleMs);
    this.#idleTimer.unref();
    void connection.closed.then((reason) => this.#end(reason));
    this.flush();
    if (this.#underWay === 0) connection.socket.unref();
  }

  /** Reports a connection that failed: no event was sent. */
  failed(error: MicroError): void {
    for (const { events } of this.#abandon()) for (const event of events) event.lost(error);
  }

  /** Has the events that wait posted over HTTP: the other side does not accept them natively. */
  post(): void {
    for (const { events, deadline } of this.#abandon()) {
      for (const event of events) event.post(deadline);
    }
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#filling.size > 0) {
      for (const batch of this.#filling.values()) this.#waiting.push(batch);
      this.#filling.clear();
    }
    this.#pump();
  }

  async close(): Promise<void> {
    this.failed(new MicroError("unavailable", "the broker was closed while it sent an event"));
    await this.#connection?.close();
  }

  /** Called by a batch that has a response, before its results are passed on. */
  batchResponded(): void {
    this.#proven = true;
  }

  /** Called by a batch that has ended. */
  batchEnded(): void {
    this.#underWay--;
    this.#pump();
    if (this.#underWay > 0) return;
    if (this.#retired) void this.#connection?.close();
    else this.#connection?.socket.unref();
  }

  /** Called by a batch without a response. If the connection was lost, its events are resent. */
  batchFailed(batch: Batch, reason: unknown): void {
    const error = asMicroError(reason, "unavailable");
    // A subscriber that does not respond gets no further events on this connection. Batches that
    // are under way have their own time.
    if (error.code === "deadline_exceeded" && error.outcome !== "not-executed") this.#retire();
    const failure = unreachable(batch.target, error.message, error.outcome, error);
    if (error.code === "unavailable") this.#lost(batch, failure);
    else for (const delivery of batch.events) delivery.lost(failure);
  }

  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#pumping) return;
    this.#pumping = true;
    while (this.#underWay < this.#window) {
      const batch = this.#waiting.shift();
      if (batch === undefined) break;
      if (this.#underWay++ === 0) connection.socket.ref();
      this.#used = true;
      connection.startUnary(deliverMethod, batch, batch, batch);
    }
    this.#pumping = false;
  }

  #retire(): void {
    if (this.#ended || this.#retired) return;
    this.#retired = true;
    this.#owner.retired(this);
  }

  #closeIfIdle(): void {
    if (!this.#used && this.#underWay === 0) void this.#connection?.close();
    this.#used = false;
  }

  /** The connection is closed. Batches under way have failed already. */
  #end(reason: MicroError | undefined): void {
    if (this.#ended) return;
    const why = reason?.message ?? "the connection was closed";
    for (const batch of this.#abandon()) {
      this.#lost(batch, unreachable(batch.target, why, "not-executed", reason));
    }
  }

  /** Sends events of a lost connection on another one, unless they have been sent on two. */
  #lost({ events, deadline }: Batch, error: MicroError): void {
    if (!this.#proven) this.#owner.useHttp(this.address);
    for (const delivery of events) {
      if (delivery.resentUntil !== undefined) {
        delivery.lost(error);
      } else {
        delivery.resentUntil = deadline;
        if (error.outcome !== "not-executed") delivery.mayHaveArrived();
        this.#owner.resend(delivery);
      }
    }
  }

  /** Accepts no further events, and returns the batches that were not sent. */
  #abandon(): readonly Batch[] {
    this.#ended = true;
    clearInterval(this.#idleTimer);
    const left: Batch[] = [];
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      left.push(next);
    }
    left.push(...this.#filling.values());
    this.#filling.clear();
    this.#owner.ended(this);
    return left;
  }
}

/** Events for one subscription, as one call. */
class Batch implements OutgoingEvents, OutgoingCall, UnaryReceiver<Uint8Array> {
  readonly target: Target;
  readonly subscription: string;
  readonly topic: string;
  readonly events: LinkDelivery[] = [];
  size: number;
  readonly deadline: Deadline;
  readonly metadata: undefined;
  readonly signal: undefined;
  responseMetadata: Metadata | undefined = undefined;
  trailers: Metadata | undefined = undefined;
  readonly #link: EventLink;

  constructor(link: EventLink, target: Target, deadline: Deadline) {
    const { id, topic } = target;
    this.#link = link;
    this.target = target;
    this.subscription = id;
    this.topic = topic;
    this.size = batchBytes(id, topic);
    this.deadline = deadline;
  }

  /** Whether an event fits in: by its size, and by its time if it was sent before. */
  takes(bytes: number, resentUntil: Deadline | undefined): boolean {
    return (
      this.size + bytes <= usualBatchBytes &&
      this.events.length < maxBatchEvents &&
      this.events[0]?.resentUntil === resentUntil
    );
  }

  add(delivery: LinkDelivery, bytes: number): void {
    this.events.push(delivery);
    this.size += bytes;
  }

  responded(results: Uint8Array): void {
    const { events } = this;
    this.#link.batchResponded();
    if (results.length === 0) {
      for (const event of events) event.settled("accepted");
    } else {
      for (let index = 0; index < events.length; index++) {
        const result = acceptances[results[index] ?? eventResult.refused];
        events[index]!.settled(result ?? refused(this.target));
      }
    }
    this.#link.batchEnded();
  }

  failed(reason: unknown): void {
    this.#link.batchFailed(this, reason);
    this.#link.batchEnded();
  }
}

const acceptances: readonly Acceptance[] = ["accepted", "full", "gone"];

function refused(target: Target): MicroError {
  return unreachable(
    target,
    "it refused the event, which is too large, not valid, or not signed as it requires",
    "not-executed",
  );
}

function flushLink(link: EventLink): void {
  link.flush();
}
