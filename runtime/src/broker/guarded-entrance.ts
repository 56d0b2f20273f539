import type { BackendState, StateListener } from "../base/backend-state.ts";
import { MicroError } from "../base/error.ts";
import { isLocalAddress } from "../base/local-address.ts";
import type { Logger } from "../base/logger.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventEntrance,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import type { DeadLetters } from "./dead-letter-admin.ts";

/** Whether other machines reach the entrance of a broker. */
export function isReached(entrance: EventEntrance | undefined): entrance is EventEntrance {
  return entrance !== undefined && !isLocalAddress(entrance.address);
}

/**
 * Refuses to let a server whose callers need an account receive events of everyone, unless it has
 * said that it does.
 *
 * @param what it cannot do, such as `service stock cannot start`.
 * @throws MicroError `failed_precondition`
 */
export function checkEntrance({ entrance }: Broker, what: string): void {
  if (!isReached(entrance) || entrance.verify !== undefined) return;
  throw new MicroError(
    "failed_precondition",
    `${what}: its auth is for calls, and everyone who reaches the port of its broker at ${entrance.address} could send it events. ` +
      'Verify them with events: { verify: "required", keys }; bind the port to this machine with MICRO_BROKER_ADDRESS=127.0.0.1:0; ' +
      "use a broker with a server, such as MICRO_BROKER=nats://host; " +
      "or pass events: { verify: false } to accept events of everyone",
    { outcome: "not-executed" },
  );
}

/** The broker of a server with auth; it subscribes only where {@link checkEntrance} allows it. */
export function guardedBroker(broker: Broker): Broker {
  const isOpen = isReached(broker.entrance) && broker.entrance.verify === undefined;
  return isOpen ? new GuardedBroker(broker) : broker;
}

class GuardedBroker implements Broker {
  readonly name: string;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters?: DeadLetters;
  readonly entrance?: EventEntrance;
  readonly #broker: Broker;

  constructor(broker: Broker) {
    const { name, guarantees, deadLetters, entrance } = broker;
    this.name = name;
    this.guarantees = guarantees;
    if (deadLetters !== undefined) this.deadLetters = deadLetters;
    if (entrance !== undefined) this.entrance = entrance;
    this.#broker = broker;
  }

  get state(): BackendState {
    return this.#broker.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#broker.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    this.#broker.useLogger?.(logger);
  }

  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    return this.#broker.publish(topic, event, options);
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    checkEntrance(this.#broker, `the service cannot subscribe to ${topic}`);
    return this.#broker.subscribe(topic, handler, options);
  }

  close(): Promise<void> {
    return this.#broker.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
