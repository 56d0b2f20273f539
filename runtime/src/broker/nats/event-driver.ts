import { createLogger, type Logger } from "../../logger.ts";
import { NatsDriver, type NatsDriverOptions } from "../../nats/driver.ts";
import type { BrokerGuarantees, OutgoingEvent, PublishOptions } from "../broker.ts";
import { type DeliveryHost, type DeliverySubscription, defaultCloseGraceMs } from "../delivery.ts";
import { type EventRecord, eventRecord } from "../event.ts";
import { checkSubject } from "./message.ts";

/** Options that both brokers on NATS have. */
export type EventDriverOptions = NatsDriverOptions & {
  /** The largest body of an event, in bytes; the server's own limit, 1 MiB by default, is above it. Default 1,000,000. */
  readonly maxEventBytes?: number;
  /** How long a subscription that closes waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  readonly logger?: Logger;
};

/** What the brokers on NATS share: how an event is checked, and that closing ends what they subscribed to. */
export abstract class EventDriver<Source> extends NatsDriver implements DeliveryHost {
  abstract readonly guarantees: BrokerGuarantees;
  readonly logger: Logger;
  readonly closeGraceMs: number;
  /** Where each subscription's events come from. */
  protected readonly sources: Map<DeliverySubscription, Source> = new Map();

  constructor(options: EventDriverOptions) {
    super(options, "broker");
    this.logger = options.logger ?? createLogger();
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
  }

  async publish(topic: string, event: OutgoingEvent, options: PublishOptions = {}): Promise<void> {
    this.check(`publish on ${topic}`, options.signal);
    const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes);
    checkSubject(topic);
    await this.send(record, options);
  }

  publishDeadLetter(record: EventRecord): Promise<void> {
    return this.send(record, {});
  }

  forget(subscription: DeliverySubscription): void {
    this.sources.delete(subscription);
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.sources.keys()].map((each) => each.close()));
  }

  /** Resolves when the event is as safe as the guarantees promise. */
  protected abstract send(record: EventRecord, options: PublishOptions): Promise<void>;
}
