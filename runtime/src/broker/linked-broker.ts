import { untilAborted } from "../base/abort.ts";
import { type BackendLink, LinkedPart } from "../base/linked-part.ts";
import { createLogger, type Logger } from "../base/logger.ts";
import {
  byteCount,
  durationMs,
  logger as loggerKind,
  type OptionKindsOf,
} from "../base/option-check.ts";
import { PartLogger } from "../base/part-logger.ts";
import type { BrokerGuarantees, OutgoingEvent, PublishOptions, Subscription } from "./broker.ts";
import { closeForCaller } from "./close-for-caller.ts";
import { type EventRecord, eventRecord } from "./event.ts";
import type { DeadLetterHost } from "./kept-dead-letters.ts";
import {
  type DeliveryHost,
  defaultCloseGraceMs,
  type LocalSubscription,
} from "./local-subscription.ts";

/** Options of all brokers on a backend. */
export interface LinkedBrokerOptions {
  /** Maximum size of an event's body, in bytes. The default is the driver's. */
  readonly maxEventBytes?: number;
  /** How long a closing subscription waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  readonly logger?: Logger;
}

/** The kinds of the options of all brokers on a backend. */
export const linkedBrokerKinds: OptionKindsOf<LinkedBrokerOptions> = {
  maxEventBytes: byteCount,
  closeGraceMs: durationMs(0),
  logger: loggerKind,
};

/** Where events of a subscription come from. */
export interface EventSource {
  /** Takes no more events; held ones are still settled. */
  stop(): Promise<void>;
  /** Resolves when all held events are settled, or returned to the backend. */
  close(): Promise<void>;
}

/** The base of brokers on a backend: validates events, and ends their subscriptions on close. */
export abstract class LinkedBroker<Link extends BackendLink>
  extends LinkedPart<Link>
  implements DeliveryHost
{
  abstract readonly guarantees: BrokerGuarantees;
  readonly logger: PartLogger;
  readonly closeGraceMs: number;
  /** What dead letters that the backend keeps need of the broker. */
  protected readonly deadLetterHost: DeadLetterHost = {
    check: (what, signal) => this.check(what, signal),
    publish: (record, signal) => this.send(record, signal === undefined ? {} : { signal }),
  };
  readonly #sources = new Map<LocalSubscription, readonly EventSource[]>();

  /** @param shared a connection that its creator closes; see {@link LinkedPart}. */
  constructor(shared: Link | undefined, connect: () => Link, options: LinkedBrokerOptions) {
    super(shared, connect, "broker");
    this.logger = new PartLogger(options.logger, createLogger());
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
  }

  useLogger(logger: Logger): void {
    this.logger.use(logger);
  }

  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    try {
      if (this.isClosing || options?.signal?.aborted === true) {
        this.check(`publish on ${topic}`, options?.signal);
      }
      const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes, true);
      this.checkTopic(topic);
      return this.send(record, options ?? {});
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  publishDeadLetter(record: EventRecord, queue: string | undefined): Promise<void> {
    return this.send(record, {}, queue);
  }

  async detach(subscription: LocalSubscription): Promise<void> {
    const sources = this.#sources.get(subscription) ?? [];
    await Promise.all(sources.map((source) => source.stop()));
  }

  async forget(subscription: LocalSubscription): Promise<void> {
    const sources = this.#sources.get(subscription) ?? [];
    await Promise.all(sources.map((source) => source.close()));
    this.#sources.delete(subscription);
  }

  /**
   * Resolves with the subscription when its sources are set up.
   * @throws MicroError when the setup fails, the signal fires or the broker is closed first; the
   * subscription is closed then. An abort is reported at once: the handlers of a closing
   * subscription may take the whole grace period.
   */
  protected async established(
    what: string,
    subscription: LocalSubscription,
    sources: readonly EventSource[],
    setUp: () => Promise<unknown>,
    signal: AbortSignal | undefined,
  ): Promise<Subscription> {
    this.#sources.set(subscription, sources);
    subscription.closeOn(signal);
    try {
      await untilAborted(setUp(), signal);
      this.check(what, signal);
      return subscription;
    } catch (error) {
      const closing = subscription.close();
      if (signal?.aborted !== true) await closing;
      throw this.failure(error, what);
    }
  }

  override close(): Promise<void> {
    return closeForCaller(super.close(), this.#sources.keys(), this.logger);
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#sources.keys()].map((each) => each.closeCompletely()));
  }

  /** @throws MicroError `invalid_argument` for a valid topic that the backend does not allow. */
  protected checkTopic(_topic: string): void {}

  /** The MicroError that an error of the backend is; `what` is the attempted operation. */
  protected abstract failure(error: unknown, what: string): Error;

  /**
   * Resolves when the event is as safe as the guarantees promise.
   * @param queue the queue group whose dead letter it is.
   */
  protected abstract send(
    record: EventRecord,
    options: PublishOptions,
    queue?: string,
  ): Promise<void>;
}
