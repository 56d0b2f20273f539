import { asMicroError, type MicroError } from "../base/error.ts";
import { Metadata } from "../base/metadata.ts";
import type { CallOptions } from "./client.ts";
import type { OutboundCall } from "./outbound-call.ts";

/** Whether a call's options have listeners for more than its response. */
export function isObserved(options: CallOptions): boolean {
  return options.onResponseMetadata !== undefined || options.onTrailers !== undefined;
}

/**
 * Wraps a response that passed through interceptors: any thrown value becomes a MicroError, and a
 * call without an attempt is released. If the interceptors returned what `next` gave them, there is
 * nothing to do.
 */
export function intercepted<O>(call: OutboundCall, response: Promise<O>): Promise<O> {
  if (response === call.response) return response;
  return call.isLinked ? response.catch(fail).finally(() => call.release()) : response.catch(fail);
}

function fail(reason: unknown): never {
  throw asMicroError(reason, "unknown");
}

/**
 * Wraps a response that passed through interceptors or has listeners: the listeners are called, any
 * thrown value becomes a MicroError, and a call without an attempt is released.
 */
export async function observed<O>(call: OutboundCall, response: Promise<O>): Promise<O> {
  const listeners = new Listeners(call);
  try {
    const message = await response;
    listeners.metadata();
    return message;
  } catch (reason) {
    throw listeners.failure(reason);
  } finally {
    call.release();
    listeners.trailers();
  }
}

/** As {@link observed}, for the responses of a stream. */
export async function* observedStream<O>(
  call: OutboundCall,
  responses: AsyncIterable<O>,
): AsyncGenerator<O, void, undefined> {
  const listeners = new Listeners(call);
  try {
    for await (const response of responses) {
      listeners.metadata();
      yield response;
    }
    listeners.metadata();
  } catch (reason) {
    throw listeners.failure(reason);
  } finally {
    call.release();
    listeners.trailers();
  }
}

class Listeners {
  readonly #call: OutboundCall;
  #heard = false;

  constructor(call: OutboundCall) {
    this.#call = call;
  }

  metadata(): void {
    if (this.#heard) return;
    this.#heard = true;
    this.#call.options.onResponseMetadata?.(this.#call.responseMetadata ?? new Metadata());
  }

  failure(reason: unknown): MicroError {
    if (this.#call.responseMetadata !== undefined) this.metadata();
    return asMicroError(reason, "unknown");
  }

  trailers(): void {
    this.#call.options.onTrailers?.(this.#call.trailers ?? new Metadata());
  }
}
