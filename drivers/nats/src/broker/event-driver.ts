import {
  createLogger,
  type Logger,
  type PublishOptions,
  type Subscription,
} from "@micro-es/runtime";
import {
  type BrokerGuarantees,
  byteCount,
  closeForCaller,
  type DeliveryHost,
  defaultCloseGraceMs,
  durationMs,
  type EventRecord,
  eventRecord,
  type LocalSubscription,
  logger as loggerKind,
  type OptionKindsOf,
  type OutgoingEvent,
  PartLogger,
  untilAborted,
} from "@micro-es/runtime/driver";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { natsFailure } from "../link/failure.ts";
import { natsDriverKinds } from "../link/option-kinds.ts";
import { checkSubject } from "./message.ts";

/** Options that both brokers on NATS share. */
export type EventDriverOptions = NatsDriverOptions & {
  /**
   * Maximum size of an event's body, in bytes; the server's own limit, 1 MiB by default, is above
   * it. Default 1,000,000.
   */
  readonly maxEventBytes?: number;
  /** How long a closing subscription waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  readonly logger?: Logger;
};

/** The options of the brokers on NATS. */
export const eventDriverKinds: OptionKindsOf<EventDriverOptions> = {
  ...natsDriverKinds,
  maxEventBytes: byteCount,
  closeGraceMs: durationMs(0),
  logger: loggerKind,
};

/**
 * The common base of the brokers on NATS: validates events, and ends their subscriptions on close.
 */
export abstract class EventDriver<Source> extends NatsDriver implements DeliveryHost {
  abstract readonly guarantees: BrokerGuarantees;
  readonly logger: PartLogger;
  readonly closeGraceMs: number;
  /** The source of each subscription's events. */
  protected readonly sources: Map<LocalSubscription, Source> = new Map();

  constructor(options: EventDriverOptions) {
    super(options, "broker");
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
      checkSubject(topic);
      return this.send(record, options ?? {});
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  publishDeadLetter(record: EventRecord, queue: string | undefined): Promise<void> {
    return this.send(record, {}, queue);
  }

  forget(subscription: LocalSubscription): void | Promise<void> {
    this.sources.delete(subscription);
  }

  /**
   * Resolves with the subscription when it is set up.
   * @throws MicroError when the setup fails, the signal fires or the broker is closed first; the
   * subscription is closed then. An abort is reported at once: the handlers of a closing
   * subscription may take the whole grace period.
   */
  protected async established(
    what: string,
    subscription: LocalSubscription,
    setUp: Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<Subscription> {
    try {
      await untilAborted(setUp, signal);
      this.check(what, signal);
      return subscription;
    } catch (error) {
      const closing = subscription.close();
      if (signal?.aborted !== true) await closing;
      throw natsFailure(error, what);
    }
  }

  override close(): Promise<void> {
    return closeForCaller(super.close(), this.sources.keys(), this.logger);
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.sources.keys()].map((each) => each.closeCompletely()));
  }

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
