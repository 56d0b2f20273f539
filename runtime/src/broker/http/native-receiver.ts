import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { Awaitable, Peer, ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { Dispatcher, UnaryReceiver } from "../../transport/transport.ts";
import type { EventRecord } from "../event.ts";
import type { EventAdmission } from "./event-admission.ts";
import { deliverMethod, eventResult, type IncomingEvents } from "./event-batch.ts";
import type { HttpSubscriptions } from "./local-subscriptions.ts";

/** What a {@link NativeReceiver} delivers to, and reports to. */
export interface NativeReceiverOptions {
  readonly own: HttpSubscriptions;
  readonly maxEventBytes: number;
  readonly logger: Logger;
  readonly admission: EventAdmission;
  /** Receives the numbers of events of a batch that were accepted and refused. */
  counted(accepted: number, refused: number): void;
}

/** Accepts batches of events that arrive over the native protocol. */
export class NativeReceiver implements Dispatcher {
  readonly #options: NativeReceiverOptions;

  constructor(options: NativeReceiverOptions) {
    this.#options = options;
  }

  method(name: string): AnyMethod | undefined {
    return name === deliverMethod.name ? deliverMethod : undefined;
  }

  unary({ peer }: ServerCall, request: unknown): Awaitable<Uint8Array> {
    return this.#receive(request as IncomingEvents, peer);
  }

  startUnary({ peer }: ServerCall, request: unknown, receiver: UnaryReceiver): void {
    let results: Awaitable<Uint8Array>;
    try {
      results = this.#receive(request as IncomingEvents, peer);
    } catch (reason) {
      receiver.failed(reason);
      return;
    }
    if (!(results instanceof Promise)) {
      receiver.responded(results);
      return;
    }
    results.then(
      (each) => receiver.responded(each),
      (reason) => receiver.failed(reason),
    );
  }

  stream(): AsyncIterable<unknown> {
    throw new MicroError("unimplemented", "events are delivered by unary calls", {
      outcome: "not-executed",
    });
  }

  /** Delivers the events that are admitted; returns a result for each. */
  #receive(events: IncomingEvents, peer: Peer): Awaitable<Uint8Array> {
    const { own, admission } = this.#options;
    const found = own.open(events.subscription, events.topic);
    if (found?.admit === undefined) return this.#deliver(events, undefined);
    const refusals = events.records.map((record) =>
      record === undefined || this.#isTooLarge(record)
        ? undefined
        : admission.refusal(found, record, peer),
    );
    if (!refusals.some((each) => each instanceof Promise)) {
      return this.#deliver(events, refusals as Refusals);
    }
    return Promise.all(refusals).then((decided) => this.#deliver(events, decided));
  }

  /** @param refusals why events are not admitted; undefined if all are */
  #deliver({ subscription, topic, records }: IncomingEvents, refusals: Refusals): Uint8Array {
    const { own, logger, counted } = this.#options;
    const found = own.open(subscription, topic);
    let results: Uint8Array | undefined;
    let refused = 0;
    for (let index = 0; index < records.length; index++) {
      const record = records[index];
      const refusal = refusals?.[index];
      let result: number = eventResult.accepted;
      if (record === undefined || this.#isTooLarge(record)) result = eventResult.refused;
      else if (found === undefined) result = eventResult.gone;
      else if (refusal !== undefined) result = resultOf(refusal);
      else if (!found.deliveries.offer(record)) result = eventResult.full;
      if (result === eventResult.accepted) continue;
      refused++;
      results ??= new Uint8Array(records.length);
      results[index] = result;
    }
    counted(records.length - refused, refused);
    if (refused > 0) logger.debug({ topic, subscription, refused }, "events were refused");
    return results ?? allAccepted;
  }

  #isTooLarge({ body }: EventRecord): boolean {
    return body.length > this.#options.maxEventBytes;
  }
}

/** Why each event of a batch is not admitted. */
type Refusals = readonly (MicroError | undefined)[] | undefined;

/** An event that cannot be verified now may be sent to another member of the group, or later. */
function resultOf({ code }: MicroError): number {
  return code === "unavailable" ? eventResult.full : eventResult.refused;
}

const allAccepted = new Uint8Array(0);
