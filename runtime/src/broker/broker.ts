import type { Backend } from "../backend.ts";
import type { Awaitable, ParentContext } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import type { Metadata, MetadataInit } from "../metadata.ts";
import type { DeadLetters } from "./dead-letters.ts";

/** An event on its way out. */
export interface OutgoingEvent {
  readonly body: Uint8Array;
  /** How the body is written, such as `application/protobuf`. */
  readonly contentType: string;
  /** Full name of the message in the body; "" for opaque bytes. */
  readonly typeName: string;
  /** Events of one key keep their order where the broker promises order by key. */
  readonly key?: string;
  readonly metadata?: MetadataInit;
  /** Identifies the event, for deduplication and for logs. Default: a new UUID. */
  readonly id?: string;
}

/** How one event is published. */
export interface PublishOptions {
  readonly signal?: AbortSignal;
  /** The incoming call or event on whose behalf this one is published; its marked metadata goes along. */
  readonly context?: ParentContext;
  /**
   * Until when the event is of use, on the monotonic clock; it travels with the event as a time of the wall clock. Handlers
   * have it as their deadline, and an event that was not handled by then is given up. The deadline of `context` does not go
   * along by itself, because events outlive the calls that cause them: `deadline: context.deadline` takes it along.
   */
  readonly deadline?: Deadline;
}

/** An event as a subscriber gets it. Its deadline is the earlier of the publisher's and the subscription's, if any. */
export interface IncomingEvent extends ParentContext {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  /** "" when the publisher did not say. */
  readonly typeName: string;
  readonly key: string | undefined;
  readonly metadata: Metadata;
  /** 1 at the first delivery to this subscriber or group. */
  readonly attempt: number;
}

/**
 * Takes an event. When it returns or resolves, the event is acknowledged; when it throws or rejects, the event
 * is delivered again as far as the broker promises that. {@link EventRejected} says that it never will be good.
 */
export type EventHandler = (event: IncomingEvent) => Awaitable<void>;

/** How a subscription takes its events. */
export interface SubscribeOptions {
  /**
   * Name of a queue group: each event goes to one of its members. Without one, each subscription gets every
   * event.
   */
  readonly queue?: string;
  /** Events that are handled at once. Default 64. */
  readonly maxInFlight?: number;
  /** Events that wait to be handled; beyond it the broker's overflow policy holds. Default 1,024. */
  readonly maxPending?: number;
  /** Deliveries of one event in all, where the broker redelivers. Default 5. */
  readonly maxDeliveries?: number;
  /** Wait before the second delivery, in milliseconds; doubles with each further one, ±20 %. Default 100. */
  readonly redeliveryBackoffMs?: number;
  /**
   * Time that one handling may take, in milliseconds; then its signal fires, and it has failed, whatever comes
   * of it later. Default: none.
   */
  readonly handlerTimeoutMs?: number;
  /** Keys of the event's metadata that go along with calls and events made while handling it. */
  readonly propagate?: readonly string[];
  /** Topic that takes events which failed for good, with the reason in their metadata. */
  readonly deadLetter?: string;
  /**
   * Where to begin, where the broker keeps events (`guarantees.replay`): with the first that is kept, with the first
   * since a time, or with the one of this sequence number. For a queue group it holds when the group is new. Default:
   * with what is published from now on.
   */
  readonly from?: "first" | Date | bigint;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

/**
 * What a subscription has done, in events. Each event that was meant for it ends as delivered, rejected or
 * dropped. In a queue group whose members share one queue, `pending` is what waits for all of them.
 */
export interface SubscriptionStats {
  /** Events that its handler took. */
  readonly delivered: number;
  /** Handlings that failed, redeliveries included. */
  readonly failed: number;
  /** Events that were given up: dead-lettered, or out of deliveries. */
  readonly rejected: number;
  /** Events that were lost because too many were waiting, or because it closed before they were handled. */
  readonly dropped: number;
  readonly inFlight: number;
  /** Events that wait, those that wait to be delivered again included. */
  readonly pending: number;
}

export interface Subscription extends AsyncDisposable {
  readonly topic: string;
  readonly queue: string | undefined;
  readonly stats: SubscriptionStats;
  /**
   * Unsubscribes, and resolves when the events that it had taken are handled, passed on to others of its queue
   * group or given back to a broker that keeps them; nothing is delivered after that. Idempotent. A handler
   * that never ends is given up after the broker's grace; so is one that awaits this.
   */
  close(): Promise<void>;
}

/** What an implementation promises. */
export interface BrokerGuarantees {
  /**
   * `at-most-once`: an event that was published may be lost. `at-least-once`: it is delivered until a handler
   * took it or it was given up, as long as what `durability` names does not happen.
   */
  readonly delivery: "at-most-once" | "at-least-once";
  /**
   * `key`: the next event of a key is delivered when the one before is done, redeliveries included.
   * `publisher`: events of one publisher on one topic arrive in order at each subscriber, failures aside.
   */
  readonly ordering: "none" | "key" | "publisher";
  /** What an acknowledged publication survives. */
  readonly durability: "none" | "process-crash" | "power-loss";
  readonly queueGroups: boolean;
  /** Whether a failed handling is tried again. */
  readonly redelivery: boolean;
  readonly deadLetter: boolean;
  /** `block`: a publisher waits for a slow subscriber. `drop`: events are lost and counted. */
  readonly overflow: "block" | "drop";
  /** Whether a subscription can begin with events that were published before it. */
  readonly replay: boolean;
  /** The largest body, in bytes. */
  readonly maxEventBytes: number;
}

/** Metadata keys that brokers use on the wire; they do not appear in {@link IncomingEvent.metadata}. */
export const reservedEventKeys: readonly string[] = [
  "content-type",
  "micro-topic",
  "micro-id",
  "micro-type",
  "micro-key",
  "micro-replay",
];

/** Thrown by a handler for an event that no redelivery will make good, such as one that does not decode. */
export class EventRejected extends Error {
  override readonly name = "EventRejected";
}

/** Publishes events to topics, and delivers them to whoever subscribed. */
export interface Broker extends Backend {
  readonly guarantees: BrokerGuarantees;
  /** The events on dead letter topics; absent where the broker keeps none after they were delivered. */
  readonly deadLetters?: DeadLetters;
  /**
   * Resolves when the event is as safe as the guarantees promise.
   * @throws MicroError `invalid_argument` for a topic or an event that is not allowed, `resource_exhausted`
   * for one that is too large, `unavailable` when the broker cannot take it.
   */
  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void>;
  /**
   * Resolves when the subscription is in force: what is published after that is delivered.
   * @throws MicroError `invalid_argument` for a topic or queue that is not allowed; `unimplemented` for `from` where
   * nothing is kept.
   */
  subscribe(
    topic: string,
    handler: EventHandler,
    options?: SubscribeOptions,
  ): Promise<Subscription>;
}
