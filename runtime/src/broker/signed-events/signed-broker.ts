import { type KeyObject, randomUUID } from "node:crypto";
import type { BackendState, StateListener } from "../../base/backend-state.ts";
import { MicroError, messageOf } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { Metadata } from "../../base/metadata.ts";
import { checkOptions } from "../../base/option-check.ts";
import type { Account } from "../../call/account.ts";
import type { Awaitable } from "../../call/call.ts";
import {
  type ArrivingEvent,
  type Broker,
  type BrokerGuarantees,
  type EventEntrance,
  type EventHandler,
  EventRejected,
  type IncomingEvent,
  type OutgoingEvent,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "../broker.ts";
import type { DeadLetters } from "../dead-letter-admin.ts";
import { EncodedEvent } from "../event.ts";
import {
  type EventKey,
  type EventKeySource,
  FixedEventKeys,
  type PreparedEventKey,
  prepared,
} from "./event-keys.ts";
import {
  type EventSigner,
  isSignatureOf,
  type ReadSignature,
  readSignature,
  signatureKey,
  signEvent,
  signingKey,
} from "./event-signature.ts";
import type { EventsOptions } from "./events-options.ts";
import { eventsKinds } from "./option-kinds.ts";

/** The rules about topics; the rules of a server with auth are such. */
export interface TopicRules {
  verify(
    account: Account | undefined,
    resource: { readonly type: "topic"; readonly name: string },
  ): { readonly access: "granted" | "denied"; readonly rule?: string } | undefined;
}

/** The longest time between publishing and handling, in milliseconds: replays take days. */
const maxAgeMs = 7 * 24 * 60 * 60 * 1_000;
/** How far the clocks of publishers may be ahead, in milliseconds. */
const clockSkewMs = 60_000;

/**
 * A broker whose events are signed and verified. A signature proves the publisher of an event and
 * its topic, and that neither its body, its type nor its ordering key was changed; it does not
 * cover other metadata. Closing it closes the broker.
 *
 * @throws MicroError `invalid_argument` for a key that cannot be used.
 */
export function signedBroker(broker: Broker, options: EventsOptions, rules?: TopicRules): Broker {
  checkOptions("signedBroker", options, eventsKinds);
  return new SignedBroker(broker, options, rules);
}

class SignedBroker implements Broker {
  readonly name: string;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters?: DeadLetters;
  readonly entrance?: EventEntrance;
  readonly #broker: Broker;
  readonly #signer: EventSigner | undefined;
  readonly #key: KeyObject | undefined;
  readonly #keys: EventKeySource;
  readonly #mode: "required" | "optional" | undefined;
  readonly #rules: TopicRules | undefined;
  /** The publishers of events that were verified on their arrival, by the body of the event. */
  readonly #admitted = new WeakMap<Uint8Array, Account>();
  /** The account of this program, which publishes and subscribes. */
  readonly #own: Account | undefined;

  constructor(broker: Broker, options: EventsOptions, rules: TopicRules | undefined) {
    const { sign, verify, keys, keySource } = options;
    if (keys !== undefined && keySource !== undefined) {
      throw new MicroError("invalid_argument", "set one of events.keys and events.keySource", {
        outcome: "not-executed",
      });
    }
    const verifies = verify !== undefined && verify !== false;
    if (verifies !== ((keys ?? keySource) !== undefined)) {
      throw new MicroError(
        "invalid_argument",
        "events.verify needs events.keys or events.keySource, the keys of the publishers, and these have no effect without it",
        { outcome: "not-executed" },
      );
    }
    this.#broker = broker;
    this.name = broker.name;
    this.guarantees = broker.guarantees;
    if (broker.deadLetters !== undefined) this.deadLetters = broker.deadLetters;
    const { entrance } = broker;
    if (entrance !== undefined) this.entrance = { ...entrance, verify: verify ?? entrance.verify };
    this.#signer = sign;
    this.#key = sign && signingKey(sign);
    this.#mode = verifies ? verify : undefined;
    this.#keys = keySource ?? new FixedEventKeys(keys ?? []);
    this.#rules = rules;
    this.#own = sign && accountOf({ ...sign, key: "" });
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

  async publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    this.#checkOwn("publish on", topic);
    return this.#broker.publish(topic, this.#signed(topic, event), options);
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    this.#checkOwn("subscribe to", topic);
    if (this.#mode === undefined) return this.#broker.subscribe(topic, handler, options);
    const handled = (event: IncomingEvent): Awaitable<void> => {
      const account = this.#verifyForHandler(topic, event);
      if (!(account instanceof Promise)) {
        return handler(withAccount(event, account));
      }
      return account.then((found) => handler(withAccount(event, found)));
    };
    return this.#broker.subscribe(topic, handled, {
      ...options,
      admit: (event) => this.#admit(topic, event, options?.admit),
    });
  }

  close(): Promise<void> {
    return this.#broker.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #signed(topic: string, event: OutgoingEvent): OutgoingEvent {
    if (this.#signer === undefined || this.#key === undefined) return event;
    const { contentType, typeName } = event;
    const id = event.id ?? randomUUID();
    const key = event.key === "" ? undefined : event.key;
    // The publisher may write to its buffer as soon as this returns.
    const body = event instanceof EncodedEvent ? event.body : new Uint8Array(event.body);
    const signature = signEvent(this.#signer, this.#key, {
      ...{ id, topic, body, contentType, typeName, key },
    });
    const metadata = new Metadata(event.metadata).set(signatureKey, signature);
    return new EncodedEvent(body, contentType, typeName, key, metadata, id);
  }

  /** Refuses the events of other processes that a handler would not get. */
  #admit(topic: string, event: ArrivingEvent, then: SubscribeOptions["admit"]): Awaitable<void> {
    const keep = (account: Account | undefined): Awaitable<void> => {
      if (account !== undefined) {
        this.#checkPublisher(topic, account);
        this.#admitted.set(event.body, account);
      }
      return then?.(event);
    };
    const account = this.#verify(topic, event);
    return account instanceof Promise ? account.then(keep) : keep(account);
  }

  /** As {@link #verify}; its errors are final for the event. */
  #verifyForHandler(topic: string, event: IncomingEvent): Awaitable<Account | undefined> {
    const check = (account: Account | undefined): Account | undefined => {
      if (account !== undefined) this.#checkPublisher(topic, account);
      return account;
    };
    try {
      const account = this.#admitted.get(event.body) ?? this.#verify(topic, event);
      if (!(account instanceof Promise)) return check(account);
      return account.then(check).catch((reason) => {
        throw finalFor(event, reason);
      });
    } catch (reason) {
      throw finalFor(event, reason);
    }
  }

  /**
   * Returns the account that has signed an event, at once if its key is known; undefined without a
   * signature.
   * @throws MicroError `unauthenticated` with the reason; `unavailable` if its key cannot be known.
   */
  #verify(topic: string, event: ArrivingEvent): Awaitable<Account | undefined> {
    const signatures = event.metadata.getAll(signatureKey);
    if (signatures.length === 0) {
      if (this.#mode === "optional") return undefined;
      throw notValid("it is not signed");
    }
    const [signature] = signatures;
    if (typeof signature !== "string" || signatures.length > 1) {
      throw notValid("it has more than one signature");
    }
    const read = readOrRefuse(signature);
    const ageMs = Date.now() - read.signedAtMs;
    if (!(ageMs <= maxAgeMs && ageMs >= -clockSkewMs)) {
      throw notValid("it was signed too long ago, or in the future");
    }
    const key = this.#keys.key(read.issuer, read.account, read.keyId);
    return key instanceof Promise
      ? key.then((found) => accountBy(found, read, topic, event))
      : accountBy(key, read, topic, event);
  }

  /** @throws MicroError `permission_denied` where a rule denies a topic to a publisher. */
  #checkPublisher(topic: string, account: Account): void {
    const verdict = this.#rules?.verify(account, { type: "topic", name: topic });
    if (verdict?.access !== "denied") return;
    throw new MicroError(
      "permission_denied",
      `${ruleOf(verdict)} denies the topic to ${account.id}`,
      { outcome: "not-executed" },
    );
  }

  /** @throws MicroError `permission_denied` where a rule denies a topic to this program. */
  #checkOwn(what: string, topic: string): void {
    if (this.#own === undefined) return;
    const verdict = this.#rules?.verify(this.#own, { type: "topic", name: topic });
    if (verdict?.access !== "denied") return;
    throw new MicroError(
      "permission_denied",
      `cannot ${what} ${topic}: ${ruleOf(verdict)} denies it to ${this.#own.id}`,
      { outcome: "not-executed" },
    );
  }
}

function accountOf({ issuer, account, type = "service", scopes = [] }: EventKey): Account {
  return {
    id: account,
    type,
    issuer,
    scopes: new Set(scopes),
    claims: {},
    expiresAtMs: Number.POSITIVE_INFINITY,
    provenBy: "event",
  };
}

function withAccount(event: IncomingEvent, account: Account | undefined): IncomingEvent {
  (event as { account?: Account | undefined }).account = account;
  return event;
}

/** @throws MicroError `unauthenticated` if the key has not signed the event. */
function accountBy(
  key: EventKey | undefined,
  read: ReadSignature,
  topic: string,
  { id, body, contentType, typeName, key: orderingKey }: ArrivingEvent,
): Account {
  if (key === undefined) throw notValid("its key is not known");
  const ready: PreparedEventKey = prepared(key);
  const signed = { id, topic, body, contentType, typeName, key: orderingKey };
  if (!isSignatureOf(read, ready.key, signed)) throw notValid("its signature is not valid");
  return accountOf(key);
}

/** @throws MicroError `unauthenticated` if it is not in the form of a signature. */
function readOrRefuse(signature: string): ReadSignature {
  try {
    return readSignature(signature);
  } catch (reason) {
    throw notValid(messageOf(reason));
  }
}

function notValid(reason: string): MicroError {
  return new MicroError("unauthenticated", reason, { outcome: "not-executed" });
}

/** An event whose key cannot be known now is delivered again; any other failure is for good. */
function finalFor({ id, topic }: IncomingEvent, reason: unknown): unknown {
  if (reason instanceof MicroError && reason.code === "unavailable") return reason;
  return new EventRejected(`event ${id} on ${topic} is rejected: ${messageOf(reason)}`);
}

function ruleOf({ rule }: { readonly rule?: string }): string {
  return rule === undefined ? "a rule" : `the rule ${rule}`;
}
