import { asMicroError, type MicroError } from "../error.ts";
import { Metadata } from "../metadata.ts";
import type { CallOptions } from "./client.ts";
import type { OutboundCall } from "./outbound-call.ts";

/** Whether a call's options want to hear of more than its answer. */
export function isObserved(options: CallOptions): boolean {
  return options.onResponseMetadata !== undefined || options.onTrailers !== undefined;
}

/**
 * An answer that came through interceptors: whatever was thrown becomes a MicroError, and a call that no attempt was
 * made for is released. Interceptors that return what `next` gave them leave nothing to do.
 */
export function intercepted<O>(call: OutboundCall, answer: Promise<O>): Promise<O> {
  if (answer === call.answer) return answer;
  return call.isLinked ? answer.catch(fail).finally(() => call.release()) : answer.catch(fail);
}

function fail(reason: unknown): never {
  throw asMicroError(reason, "unknown");
}

/**
 * An answer that came through interceptors or has listeners: those are called, whatever was thrown becomes a
 * MicroError, and a call that no attempt was made for is released.
 */
export async function observed<O>(call: OutboundCall, answer: Promise<O>): Promise<O> {
  const listeners = new Listeners(call);
  try {
    const message = await answer;
    listeners.metadata();
    return message;
  } catch (reason) {
    throw listeners.failure(reason);
  } finally {
    call.release();
    listeners.trailers();
  }
}

/** As {@link observed}, for the answers of a stream. */
export async function* observedStream<O>(
  call: OutboundCall,
  answers: AsyncIterable<O>,
): AsyncGenerator<O, void, undefined> {
  const listeners = new Listeners(call);
  try {
    for await (const answer of answers) {
      listeners.metadata();
      yield answer;
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
