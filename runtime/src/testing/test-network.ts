import { randomUUID } from "node:crypto";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { asMicroError, MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import {
  checkOptions,
  durationMs,
  type OptionKindsOf,
  signal as signalKind,
} from "../base/option-check.ts";
import type {
  IncomingEvent,
  OutgoingEvent,
  SubscribeOptions,
  Subscription,
} from "../broker/broker.ts";
import { MemoryBrokerNetwork, memoryBroker } from "../broker/memory/broker.ts";
import type { Topic, TopicPublishOptions } from "../broker/topic.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import type { Registry } from "../registry/registry.ts";
import { MemorySyncNetwork, memorySync } from "../sync/memory/sync.ts";
import type { Sync } from "../sync/sync.ts";
import { MemoryNetwork, memoryTransport } from "../transport/memory/transport.ts";
import type { Transport, TransportLimits } from "../transport/transport.ts";
import { failingTransport } from "./failing-transport.ts";
import { type BrokerObserver, ObservedBroker } from "./observed-broker.ts";
import {
  type FailureOptions,
  type FailurePlan,
  type FailureTarget,
  PlannedFailures,
} from "./planned-failures.ts";

/** How long a test waits for a condition. */
export interface WaitOptions {
  /** In milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const waitKinds: OptionKindsOf<WaitOptions> = { timeoutMs: durationMs(0), signal: signalKind };

/**
 * How long a closing subscription waits for its handlers, in milliseconds: a test does not wait
 * long for a hanging one.
 */
const closeGraceMs = 1_000;

/** Maximum number of publications kept; older ones are dropped. */
const maxPublished = 10_000;

interface Published {
  readonly topic: string;
  readonly event: OutgoingEvent;
}

/**
 * Connects test services: calls, registrations, events and locks stay in their network. Each test
 * service creates its own network unless it is given one.
 */
export class TestNetwork implements BrokerObserver {
  readonly #transports = new MemoryNetwork();
  readonly #registries = new MemoryRegistryNetwork();
  readonly #brokers = new MemoryBrokerNetwork();
  readonly #syncs = new MemorySyncNetwork();
  readonly #failures = new PlannedFailures();
  readonly #subscriptions = new Set<Subscription>();
  readonly #published: Published[] = [];
  /** The number of dropped publications, which precede the first one kept. */
  #dropped = 0;
  /** By topic, the position after the publication returned last. */
  readonly #taken = new Map<string, number>();
  /** By event id, the last error of each subscriber that has not handled it. */
  readonly #errors = new Map<string, Map<object, unknown>>();

  /**
   * Makes the next calls of an rpc, or publications on a topic, fail, as {@link TestService.fail}
   * does.
   */
  fail(target: FailureTarget, error: MicroError, options?: FailureOptions): FailurePlan {
    return this.#failures.add(target, error, options);
  }

  transport(limits: Partial<TransportLimits> = {}): Transport {
    return failingTransport(memoryTransport({ network: this.#transports, limits }), this.#failures);
  }

  registry(): Registry {
    return memoryRegistry({ network: this.#registries });
  }

  sync(): Sync {
    return memorySync({ network: this.#syncs });
  }

  /**
   * A broker that loses no events.
   * @param defaults defaults for the options of subscriptions; by default a failed handling is
   * retried at once.
   */
  broker(logger: Logger, defaults: SubscribeOptions = { redeliveryBackoffMs: 0 }): ObservedBroker {
    const inner = memoryBroker({ network: this.#brokers, overflow: "block", closeGraceMs, logger });
    return new ObservedBroker(inner, this.#failures, this, defaults);
  }

  /**
   * Publishes through a broker of this network, and resolves when every subscriber has handled the
   * event. Rejects with the error of a subscriber that failed at its last delivery.
   * @throws MicroError `failed_precondition` when the topic has no subscribers.
   */
  async publish<M, I>(
    broker: ObservedBroker,
    topic: Topic<M, I>,
    message: I,
    options: TopicPublishOptions & WaitOptions = {},
  ): Promise<void> {
    const subscriptions = () => [...this.#subscriptions].filter((it) => it.topic === topic.name);
    if (subscriptions().length === 0) throw this.#notSubscribed(topic.name);
    const id = options.id ?? randomUUID();
    this.#errors.set(id, new Map());
    try {
      await topic.publish(broker, message, { ...options, id });
      await this.#untilIdle(`the event on ${topic.name} was handled`, subscriptions, options);
      const errors = [...(this.#errors.get(id)?.values() ?? [])];
      if (errors.length === 1) throw errors[0];
      if (errors.length > 1)
        throw new AggregateError(errors, `${errors.length} subscribers failed at an event`);
    } finally {
      this.#errors.delete(id);
    }
  }

  /** All messages published on a topic, in order. */
  messages<M, I>(topic: Topic<M, I>): readonly M[] {
    return this.#published
      .filter((it) => it.topic === topic.name)
      .map(({ event }) => topic.codec.decode(event.body));
  }

  /** The next message on a topic, beginning with the first; waits for it. */
  async nextPublished<M, I>(topic: Topic<M, I>, options: WaitOptions = {}): Promise<M> {
    const position = () => {
      const from = Math.max(0, (this.#taken.get(topic.name) ?? 0) - this.#dropped);
      return this.#published.findIndex((it, index) => index >= from && it.topic === topic.name);
    };
    await until(`an event was published on ${topic.name}`, () => position() >= 0, options);
    const index = position();
    this.#taken.set(topic.name, this.#dropped + index + 1);
    return topic.codec.decode(this.#published[index]!.event.body);
  }

  /** Resolves when no event is pending or being handled. */
  async settled(options: WaitOptions = {}): Promise<void> {
    await this.#untilIdle("all events were handled", () => [...this.#subscriptions], options);
  }

  published(topic: string, event: OutgoingEvent): void {
    if (this.#published.length === maxPublished) {
      this.#published.shift();
      this.#dropped++;
    }
    this.#published.push({ topic, event });
  }

  subscribed(subscription: Subscription): void {
    this.#subscriptions.add(subscription);
  }

  unsubscribed(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
  }

  handled(event: IncomingEvent, subscriber: object, error: unknown): void {
    const errors = this.#errors.get(event.id);
    if (error === undefined) errors?.delete(subscriber);
    else errors?.set(subscriber, error);
  }

  #notSubscribed(topic: string): MicroError {
    const topics = new Set([...this.#subscriptions].map((it) => it.topic));
    const known = topics.size === 0 ? "none" : [...topics].join(", ");
    return new MicroError(
      "failed_precondition",
      `cannot publish on ${topic} and wait: nothing on this test network subscribes to it; topics with subscribers: ${known}`,
      { outcome: "not-executed" },
    );
  }

  async #untilIdle(
    what: string,
    subscriptions: () => readonly Subscription[],
    options: WaitOptions,
  ): Promise<void> {
    const busy = () => subscriptions().filter(({ stats }) => stats.pending + stats.inFlight > 0);
    let idle = 0;
    // A handler that ends may publish in the same turn, so one check is not enough.
    const idleTwice = () => {
      idle = busy().length === 0 ? idle + 1 : 0;
      return idle >= 2;
    };
    const pending = () =>
      busy()
        .map(({ topic, queue, stats }) => {
          const group = queue === undefined ? "" : ` (queue ${queue})`;
          return `${topic}${group}: ${stats.pending} waiting, ${stats.inFlight} being handled`;
        })
        .join("; ");
    await until(what, idleTwice, options, pending);
  }
}

/**
 * The number of event loop turns that are checked without a pause, because most conditions hold
 * within them.
 */
const eagerTurns = 50;

async function until(
  what: string,
  condition: () => boolean,
  options: WaitOptions,
  state?: () => string,
): Promise<void> {
  checkOptions(`wait until ${what}`, options, waitKinds);
  const { timeoutMs = 5_000, signal } = options;
  const deadline = performance.now() + timeoutMs;
  for (let turn = 0; ; turn++) {
    if (signal?.aborted === true) throw asMicroError(signal.reason, "canceled");
    if (condition()) return;
    if (performance.now() >= deadline) {
      const detail = state === undefined ? "" : `; ${state()}`;
      throw new MicroError(
        "deadline_exceeded",
        `waited ${timeoutMs} ms until ${what}, in vain${detail}`,
      );
    }
    await (turn < eagerTurns ? setImmediate() : sleep(2));
  }
}
