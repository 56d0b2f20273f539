import { asMicroError, type Code, MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { type Allowance, Bucket } from "../../base/rate-limit.ts";
import type { Awaitable } from "../../call/call.ts";
import type { EventRecord } from "../event.ts";
import type { HttpSubscription } from "./local-subscriptions.ts";

/** Refused events of one connection, after which its events are refused without a check. */
const refusals: Allowance = { what: "events were refused", burst: 100, perSecond: 10 };
/** Lines in the log about refused events. */
const lines: Allowance = { what: "lines about refused events", burst: 10, perSecond: 1 };

/** What a sender learns. The reason would help an attacker, and is in the log. */
const texts: Partial<Record<Code, string>> = {
  unauthenticated: "the event needs a valid signature",
  permission_denied: "the publisher may not publish this event",
  unavailable: "events cannot be verified at the moment",
  resource_exhausted: "too many events of this connection were refused",
};

/**
 * Decides about the events that arrive, by the option `admit` of their subscriptions, before they
 * take up room. A connection whose events keep being refused costs no further checks.
 */
export class EventAdmission {
  readonly #logger: Logger;
  readonly #refused = new WeakMap<object, Bucket>();
  readonly #lines = new Bucket(lines);

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Returns why an event is refused, at once if that is known; undefined if it is accepted.
   *
   * @param connection identifies the connection of the sender
   */
  refusal(
    { admit }: HttpSubscription,
    event: EventRecord,
    connection: object,
  ): Awaitable<MicroError | undefined> {
    if (admit === undefined) return undefined;
    if (this.#refused.get(connection)?.isOverdrawn === true) return refusal("resource_exhausted");
    try {
      const admitted = admit(event);
      if (!isThenable(admitted)) return undefined;
      return Promise.resolve(admitted).then(
        () => undefined,
        (reason) => this.#refuse(reason, event, connection),
      );
    } catch (reason) {
      return this.#refuse(reason, event, connection);
    }
  }

  #refuse(reason: unknown, { id, topic }: EventRecord, connection: object): MicroError {
    const error = asMicroError(reason, "permission_denied");
    if (error.code !== "unavailable") {
      let refused = this.#refused.get(connection);
      if (refused === undefined) {
        refused = new Bucket(refusals);
        this.#refused.set(connection, refused);
      }
      refused.take();
    }
    if (this.#lines.take()) {
      this.#logger.warn({ topic, event: id, reason: error.message }, "an event was not admitted");
    }
    return refusal(error.code);
  }
}

function refusal(code: Code): MicroError {
  const known = texts[code] === undefined ? "permission_denied" : code;
  return new MicroError(known, texts[known] ?? "", { outcome: "not-executed" });
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof (value as Partial<PromiseLike<void>> | undefined)?.then === "function";
}
