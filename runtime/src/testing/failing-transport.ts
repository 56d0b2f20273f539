import type { MicroError } from "../base/error.ts";
import type { Method } from "../call/method.ts";
import { cancelledBy } from "../transport/call-errors.ts";
import type {
  Channel,
  ChannelState,
  OutgoingCall,
  Transport,
  UnaryReceiver,
} from "../transport/transport.ts";
import type { PlannedFailure, PlannedFailures } from "./planned-failures.ts";

/**
 * A transport whose outgoing calls encounter planned failures. They fail below the client, so its
 * retries, deadlines and interceptors see them as they would see network failures.
 */
export function failingTransport(inner: Transport, failures: PlannedFailures): Transport {
  return {
    name: inner.name,
    protocol: inner.protocol,
    guarantees: inner.guarantees,
    accepts: (address) => inner.accepts(address),
    async dial(address, options) {
      const channel = await inner.dial(address, options);
      const signal = options?.signal;
      if (signal?.aborted === true) {
        void channel.close();
        throw cancelledBy(signal.reason, `dialling ${address}`, "not-executed");
      }
      return new FailingChannel(channel, failures);
    },
    listen: (address, dispatcher, options) => inner.listen(address, dispatcher, options),
  };
}

class FailingChannel implements Channel {
  readonly #inner: Channel;
  readonly #failures: PlannedFailures;

  constructor(inner: Channel, failures: PlannedFailures) {
    this.#inner = inner;
    this.#failures = failures;
  }

  get address(): string {
    return this.#inner.address;
  }

  get state(): ChannelState {
    return this.#inner.state;
  }

  get openCalls(): number {
    return this.#inner.openCalls;
  }

  get closed(): Promise<MicroError | undefined> {
    return this.#inner.closed;
  }

  async unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O> {
    const failure = this.#failures.take(method.name);
    if (failure?.when === "before") throw failure.error;
    const response = await this.#inner.unary(method, request, call);
    if (failure !== undefined) throw failure.error;
    return response;
  }

  startUnary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ): void {
    this.unary(method, request, call).then(
      (message) => receiver.responded(message),
      (reason) => receiver.failed(reason),
    );
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O> {
    return {
      [Symbol.asyncIterator]: () => {
        const failure = this.#failures.take(method.name);
        const responses = this.#inner.stream(method, requests, call);
        return failure === undefined
          ? responses[Symbol.asyncIterator]()
          : failStream(responses, failure);
      },
    };
  }

  close(graceMs?: number): Promise<void> {
    return this.#inner.close(graceMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function* failStream<O>(
  responses: AsyncIterable<O>,
  { error, when }: PlannedFailure,
): AsyncGenerator<O, void, undefined> {
  if (when === "after") yield* responses;
  throw error;
}
