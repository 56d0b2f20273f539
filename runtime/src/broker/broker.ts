import type { Backend } from "../base/backend-state.ts";
import type { Deadline } from "../base/deadline.ts";
import type { Metadata, MetadataInit } from "../base/metadata.ts";
import type { Account } from "../call/account.ts";
import type { Awaitable, ParentContext } from "../call/call.ts";
import type { Store } from "../store/store.ts";
import type { DeadLetters } from "./dead-letter-admin.ts";

/** An event to publish. */
export interface OutgoingEvent {
  readonly body: Uint8Array;
  /** Encoding of the body, such as `application/protobuf`. */
  readonly contentType: string;
  /** Full name of the message in the body; "" for opaque bytes. */
  readonly typeName: string;
  /** Events with the same key are delivered in order, if the broker guarantees ordering by key. */
  readonly key?: string | undefined;
  readonly metadata?: MetadataInit | undefined;
  /** Identifies the event for deduplication and in logs. Default: a new UUID. */
  readonly id?: string | undefined;
}

/** Options for publishing one event. */
export interface PublishOptions {
  readonly signal?: AbortSignal;
  /**
   * The incoming call or event that caused this publication; its metadata marked for propagation is
   * copied to the event.
   */
  readonly context?: ParentContext;
  /**
   * Until when the event is useful, on the monotonic clock; it travels with the event as a
   * wall-clock time. Handlers see it as their deadline, and an event not handled by then fails
   * permanently. The deadline of `context` is not inherited, because events outlive the calls that
   * cause them; pass `deadline: context.deadline` to inherit it.
   */
  readonly deadline?: Deadline;
}

/**
 * An event as a subscriber receives it. Its deadline is the earlier of the publisher's and the
 * subscription's, if any.
 */
export interface IncomingEvent extends ParentContext {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  /** "" if the publisher did not set it. */
  readonly typeName: string;
  readonly key: string | undefined;
  readonly metadata: Metadata;
  /**
   * The publisher of the event, as its signature proves; undefined for an event without one, and
   * where signatures are not verified (`events.verify`).
   */
  readonly account?: Account | undefined;
  /** Number of this attempt by the subscriber or group to handle the event; the first is 1. */
  readonly attempt: number;
}

/**
 * Handles an event. The event is acknowledged when the handler returns or resolves; when it throws
 * or rejects, the event is redelivered as far as the broker supports it. Throw
 * {@link EventRejected} if redelivery can never succeed.
 */
export type EventHandler = (event: IncomingEvent) => Awaitable<void>;

/** Options for a subscription. */
export interface SubscribeOptions {
  /**
   * Name of a queue group: each event goes to one of its members. Without one, each subscription
   * receives every event.
   */
  readonly queue?: string;
  /** Maximum number of events handled concurrently. Default 64. */
  readonly maxInFlight?: number;
  /**
   * Maximum number of events waiting to be handled; beyond it the broker's overflow policy applies.
   * Default 1,024.
   */
  readonly maxPending?: number;
  /**
   * Maximum number of times one event is handled, counted across the group, if the broker
   * redelivers. Default 5.
   */
  readonly maxDeliveries?: number;
  /**
   * Delay before the second attempt, in milliseconds; doubles with each further attempt, ±20 %.
   * Default 100.
   */
  readonly redeliveryBackoffMs?: number;
  /**
   * Time limit for one attempt, in milliseconds. When it expires, the handler's signal aborts and
   * the attempt counts as failed, even if the handler succeeds later. Default: none.
   */
  readonly handlerTimeoutMs?: number;
  /**
   * Maximum number of elements in an event's message, counted as for requests (docs/security.md);
   * applies to subscriptions to topics of the schema. Default 262,144.
   */
  readonly maxMessageElements?: number;
  /** Metadata keys of the event to propagate to calls and events made while handling it. */
  readonly propagate?: readonly string[];
  /**
   * Topic for events that failed permanently; the reason is added to their metadata. Default: the
   * topic with `.dead` appended if the broker keeps dead letters ({@link Broker.deadLetters});
   * otherwise such events are logged and lost.
   */
  readonly deadLetter?: string;
  /**
   * Where to start, if the broker keeps events (`guarantees.replay`): with the first event kept,
   * the first since a time, or the one with this sequence number. For a queue group it applies only
   * when the group is created. Default: events published from now on.
   */
  readonly from?: "first" | Date | bigint;
  /**
   * Called with each event that another process sends to this one, before it takes up room; if it
   * throws, the sender is refused and the event is gone. Brokers with a server in between, which
   * decides who may publish, do not call it. Default: every event is accepted.
   */
  readonly admit?: (event: ArrivingEvent) => Awaitable<void>;
  /**
   * Remembers in a store which events were handled, so that an event that is delivered again is
   * not. Default: every delivery is handled.
   */
  readonly deduplicate?: Deduplicate;
  /** Closes the subscription when it aborts. */
  readonly signal?: AbortSignal;
}

/**
 * How a subscription recognizes events that were handled before, by their ids.
 *
 * An event has one successful handling for as long as the store remembers it, among all subscribers
 * of the scope that share the store. Two failures can still repeat one: the process dies after the
 * handler succeeded and before the store has recorded it, or a handler goes on for longer than
 * `claimMs` without access to the store or after its subscription has closed.
 */
export interface Deduplicate {
  /** Must have compare-and-set, and be shared by the members of the group. */
  readonly store: Store;
  /** How long an event is remembered after its handling, in milliseconds. */
  readonly ttlMs: number;
  /**
   * Names the subscribers that count as one, also across restarts. Default: the queue; required
   * without one.
   */
  readonly scope?: string;
  /**
   * How long others wait for a process that died while it handled an event, in milliseconds. A
   * handler that takes longer renews its claim. Default 30,000.
   */
  readonly claimMs?: number;
}

/** An event that has arrived and is not accepted yet. */
export type ArrivingEvent = Pick<
  IncomingEvent,
  "id" | "topic" | "body" | "contentType" | "typeName" | "key" | "metadata"
>;

/**
 * Event counters of a subscription. Each event meant for it ends up as delivered, rejected or
 * dropped. In a queue group whose members share one queue, `pending` counts the events waiting for
 * the whole group.
 */
export interface SubscriptionStats {
  /** Events handled successfully. */
  readonly delivered: number;
  /** Failed attempts, including redeliveries. */
  readonly failed: number;
  /** Events that failed permanently: dead-lettered, or out of deliveries. */
  readonly rejected: number;
  /**
   * Events lost because too many were waiting, or because the subscription closed before they were
   * handled.
   */
  readonly dropped: number;
  readonly inFlight: number;
  /** Events waiting, including those waiting for redelivery. */
  readonly pending: number;
  /** Events not handled because they had been handled before; absent without `deduplicate`. */
  readonly duplicates?: number;
}

export interface Subscription extends AsyncDisposable {
  readonly topic: string;
  readonly queue: string | undefined;
  readonly stats: SubscriptionStats;
  /**
   * Unsubscribes. Resolves once every event already received has been handled, passed on to another
   * member of the queue group or returned to a broker that keeps events; nothing is delivered after
   * that. Idempotent. A handler that does not finish is abandoned after the broker's grace period.
   * When a handler of this subscription awaits it, it resolves once all other attempts have ended.
   */
  close(): Promise<void>;
}

/** What an implementation guarantees. */
export interface BrokerGuarantees {
  /**
   * `at-most-once`: a published event may be lost. `at-least-once`: an event is delivered until a
   * handler succeeds or the event fails permanently, barring failures beyond what `durability`
   * survives.
   */
  readonly delivery: "at-most-once" | "at-least-once";
  /**
   * `key`: the next event of a key is delivered once the previous one is done, including
   * redeliveries. `publisher`: events from one publisher on one topic reach each subscriber in
   * order, except after failures.
   */
  readonly ordering: "none" | "key" | "publisher";
  /** What an acknowledged publication survives. */
  readonly durability: "none" | "process-crash" | "power-loss";
  readonly queueGroups: boolean;
  /** Whether a failed attempt is retried. */
  readonly redelivery: boolean;
  /**
   * Where attempts are counted. `backend`: when a subscriber dies and another one takes its event
   * over, the count goes on, and has grown by one at least. `process`: it begins again, or the
   * event is lost.
   */
  readonly attempts: "process" | "backend";
  /**
   * What becomes of an event that is published while nothing subscribes to its topic. `discarded`:
   * it is gone, and publishing succeeds. `kept`: a later subscription can receive it.
   */
  readonly unheard: "discarded" | "kept";
  readonly deadLetter: boolean;
  /** `block`: a publisher waits for a slow subscriber. `drop`: events are lost and counted. */
  readonly overflow: "block" | "drop";
  /** Whether a subscription can start with events published before it. */
  readonly replay: boolean;
  /** Maximum size of an event's body, in bytes. */
  readonly maxEventBytes: number;
}

/**
 * Metadata keys that brokers use on the wire; they do not appear in {@link IncomingEvent.metadata}.
 */
export const reservedEventKeys: readonly string[] = [
  "content-type",
  "micro-topic",
  "micro-id",
  "micro-type",
  "micro-key",
  "micro-replay",
];

/**
 * Thrown by a handler for an event that no redelivery can fix, such as one that does not decode.
 */
export class EventRejected extends Error {
  override readonly name = "EventRejected";
}

/** Where other processes send events to this one, without a server that decides who may. */
export interface EventEntrance {
  /** The address that it listens on, such as `0.0.0.0:0`. */
  readonly address: string;
  /** Whether signatures of events are verified there; absent if that was not decided. */
  readonly verify?: "required" | "optional" | false | undefined;
}

/** Accepts events: a broker, or an outbox within a transaction. */
export interface EventPublisher {
  /**
   * Resolves when the event is as safe as the guarantees promise.
   * @throws MicroError `invalid_argument` for a topic or an event that is not allowed,
   * `resource_exhausted` for one that is too large, `unavailable` when the broker cannot accept it.
   */
  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void>;
}

/** Publishes events to topics and delivers them to subscribers. */
export interface Broker extends Backend, EventPublisher {
  readonly guarantees: BrokerGuarantees;
  /**
   * Absent for brokers with a server in between, and within one process. A service with auth does
   * not subscribe where other machines reach the entrance and {@link EventEntrance.verify} is
   * absent.
   */
  readonly entrance?: EventEntrance;
  /** The events on dead letter topics; absent if the broker does not keep events after delivery. */
  readonly deadLetters?: DeadLetters;
  /**
   * Resolves when the subscription is active: events published after that are delivered.
   * @throws MicroError `invalid_argument` for a topic or queue that is not allowed; `unimplemented`
   * for `from` if the broker keeps no events.
   */
  subscribe(
    topic: string,
    handler: EventHandler,
    options?: SubscribeOptions,
  ): Promise<Subscription>;
}
