import {
  LinkedBroker,
  type LinkedBrokerOptions,
  linkedBrokerKinds,
  type OptionKindsOf,
} from "@micro-es/runtime/driver";
import type { NatsDriverOptions } from "../link/driver.ts";
import { natsFailure } from "../link/failure.ts";
import { NatsLink } from "../link/link.ts";
import { natsDriverKinds } from "../link/option-kinds.ts";
import { checkSubject } from "./message.ts";

/** Options that both brokers on NATS share. */
export type EventDriverOptions = NatsDriverOptions &
  Omit<LinkedBrokerOptions, "maxEventBytes"> & {
    /**
     * Maximum size of an event's body, in bytes; the server's own limit, 1 MiB by default, is above
     * it. Default 1,000,000.
     */
    readonly maxEventBytes?: number;
  };

/** The options of the brokers on NATS. */
export const eventDriverKinds: OptionKindsOf<EventDriverOptions> = {
  ...natsDriverKinds,
  ...linkedBrokerKinds,
};

/** The common base of the brokers on NATS. */
export abstract class EventDriver extends LinkedBroker<NatsLink> {
  constructor(options: EventDriverOptions) {
    super(options.link, () => new NatsLink(options), options);
  }

  protected override checkTopic(topic: string): void {
    checkSubject(topic);
  }

  protected override failure(error: unknown, what: string): Error {
    return natsFailure(error, what);
  }
}
