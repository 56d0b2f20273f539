import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { Dispatcher, UnaryReceiver } from "../../transport/transport.ts";
import { deliverMethod, eventResult, type IncomingEvents } from "./event-batch.ts";
import type { HttpSubscriptions } from "./local-subscriptions.ts";

/** What a {@link NativeReceiver} delivers to, and reports to. */
export interface NativeReceiverOptions {
  readonly own: HttpSubscriptions;
  readonly maxEventBytes: number;
  readonly logger: Logger;
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

  unary(_call: ServerCall, request: unknown): Uint8Array {
    return this.#deliver(request as IncomingEvents);
  }

  startUnary(_call: ServerCall, request: unknown, receiver: UnaryReceiver): void {
    let results: Uint8Array;
    try {
      results = this.#deliver(request as IncomingEvents);
    } catch (reason) {
      receiver.failed(reason);
      return;
    }
    receiver.responded(results);
  }

  stream(): AsyncIterable<unknown> {
    throw new MicroError("unimplemented", "events are delivered by unary calls", {
      outcome: "not-executed",
    });
  }

  #deliver({ subscription, topic, records }: IncomingEvents): Uint8Array {
    const { own, maxEventBytes, logger, counted } = this.#options;
    const found = own.get(subscription);
    let results: Uint8Array | undefined;
    let refused = 0;
    for (let index = 0; index < records.length; index++) {
      const record = records[index];
      let result: number = eventResult.accepted;
      if (record === undefined || record.body.length > maxEventBytes) result = eventResult.refused;
      else if (found === undefined || found.topic !== topic || found.deliveries.sealed) {
        result = eventResult.gone;
      } else if (!found.deliveries.offer(record)) result = eventResult.full;
      if (result === eventResult.accepted) continue;
      refused++;
      results ??= new Uint8Array(records.length);
      results[index] = result;
    }
    counted(records.length - refused, refused);
    if (refused > 0) logger.debug({ topic, subscription, refused }, "events were refused");
    return results ?? allAccepted;
  }
}

const allAccepted = new Uint8Array(0);
