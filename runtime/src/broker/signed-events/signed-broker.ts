import { type KeyObject, randomUUID } from "node:crypto";
import type { BackendState, StateListener } from "../../base/backend-state.ts";
import { MicroError, messageOf } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { Metadata } from "../../base/metadata.ts";
import { checkOptions } from "../../base/option-check.ts";
import type { Account } from "../../call/account.ts";
import type { Awaitable } from "../../call/call.ts";
import {
  type Broker,
  type BrokerGuarantees,
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
import { type EventKey, EventKeys } from "./event-keys.ts";
import {
  type EventSigner,
  isSignatureOf,
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
  readonly #broker: Broker;
  readonly #signer: EventSigner | undefined;
  readonly #key: KeyObject | undefined;
  readonly #keys: EventKeys;
  readonly #mode: EventsOptions["verify"];
  readonly #rules: TopicRules | undefined;
  /** The account of this program, which publishes and subscribes. */
  readonly #own: Account | undefined;

  constructor(broker: Broker, options: EventsOptions, rules: TopicRules | undefined) {
    const { sign, verify, keys } = options;
    if ((verify === undefined) !== (keys === undefined)) {
      throw new MicroError(
        "invalid_argument",
        "events.verify needs events.keys, the keys of the publishers, and these have no effect without it",
        { outcome: "not-executed" },
      );
    }
    this.#broker = broker;
    this.name = broker.name;
    this.guarantees = broker.guarantees;
    if (broker.deadLetters !== undefined) this.deadLetters = broker.deadLetters;
    this.#signer = sign;
    this.#key = sign && signingKey(sign);
    this.#mode = verify;
    this.#keys = new EventKeys(keys ?? []);
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
    const verified = (event: IncomingEvent): Awaitable<void> => {
      (event as { account?: Account | undefined }).account = this.#verify(topic, event);
      return handler(event);
    };
    return this.#broker.subscribe(topic, verified, options);
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

  /** Returns the account that has signed an event; undefined without a signature. */
  #verify(topic: string, event: IncomingEvent): Account | undefined {
    const signatures = event.metadata.getAll(signatureKey);
    if (signatures.length === 0) {
      if (this.#mode === "optional") return undefined;
      throw rejected(event, "it is not signed");
    }
    const [signature] = signatures;
    let account: Account;
    try {
      if (typeof signature !== "string" || signatures.length > 1) {
        throw new Error("it has more than one signature");
      }
      account = this.#accountOf(signature, topic, event);
    } catch (reason) {
      throw rejected(event, messageOf(reason));
    }
    const verdict = this.#rules?.verify(account, { type: "topic", name: topic });
    if (verdict?.access !== "denied") return account;
    throw rejected(event, `${ruleOf(verdict)} denies the topic to ${account.id}`);
  }

  #accountOf(signature: string, topic: string, event: IncomingEvent): Account {
    const read = readSignature(signature);
    const key = this.#keys.get(read.issuer, read.keyId);
    if (key === undefined) throw new Error("its key is not known");
    const { id, body, contentType, typeName, key: orderingKey } = event;
    const signed = { id, topic, body, contentType, typeName, key: orderingKey };
    if (key.account !== read.account || !isSignatureOf(read, key.key, signed)) {
      throw new Error("its signature is not valid");
    }
    const ageMs = Date.now() - read.signedAtMs;
    if (!(ageMs <= maxAgeMs && ageMs >= -clockSkewMs)) {
      throw new Error("it was signed too long ago, or in the future");
    }
    return accountOf(key);
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

function rejected({ id, topic }: IncomingEvent, reason: string): EventRejected {
  return new EventRejected(`event ${id} on ${topic} is rejected: ${reason}`);
}

function ruleOf({ rule }: { readonly rule?: string }): string {
  return rule === undefined ? "a rule" : `the rule ${rule}`;
}
