import type { MicroError } from "../base/error.ts";
import type { Identity } from "../call/account.ts";
import type { ServerCall } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type {
  CallAccess,
  Dispatcher,
  StepIterator,
  StepReceiver,
  UnaryReceiver,
} from "../transport/transport.ts";
import type { CallMeters, MethodMeter } from "./call-meters.ts";

/** Counts and times every call of a dispatcher, including the calls it refuses. */
export class MeteredDispatcher implements Dispatcher {
  readonly #inner: Required<Dispatcher>;
  readonly #meters: CallMeters;

  get access(): CallAccess | undefined {
    return this.#inner.access;
  }

  constructor(inner: Required<Dispatcher>, meters: CallMeters) {
    this.#inner = inner;
    this.#meters = meters;
  }

  method(name: string): AnyMethod | undefined {
    return this.#inner.method(name);
  }

  methodOfEndpoint(endpoint: string, service: string | undefined): AnyMethod | undefined {
    return this.#inner.methodOfEndpoint(endpoint, service);
  }

  unknownMethod(name: string, identity?: Identity): MicroError {
    return this.#inner.unknownMethod(name, identity);
  }

  unary(call: ServerCall, request: unknown): Promise<unknown> {
    return new Promise((responded, failed) =>
      this.startUnary(call, request, { responded, failed }),
    );
  }

  startUnary(call: ServerCall, request: unknown, receiver: UnaryReceiver): void {
    const meter = this.#meters.of(call.method);
    this.#inner.startUnary(call, request, new MeteredUnary(call, meter, receiver));
  }

  stream(call: ServerCall, requests: AsyncIterable<unknown>): AsyncIterable<unknown> {
    const responses = this.#inner.stream(call, requests)[Symbol.asyncIterator]();
    return new MeteredStream(call, this.#meters.of(call.method), responses);
  }

  invalidResponse(call: ServerCall, reason: unknown): MicroError {
    const error = this.#inner.invalidResponse(call, reason);
    // The call succeeded for its handler, but failed for its caller.
    this.#meters.of(call.method).fail(error.code);
    return error;
  }
}

class MeteredUnary implements UnaryReceiver {
  readonly #call: ServerCall;
  readonly #meter: MethodMeter;
  readonly #receiver: UnaryReceiver;
  readonly #beganAt: number;

  constructor(call: ServerCall, meter: MethodMeter, receiver: UnaryReceiver) {
    this.#call = call;
    this.#meter = meter;
    this.#receiver = receiver;
    this.#beganAt = meter.begin();
  }

  responded(message: unknown): void {
    this.#meter.end(this.#call, this.#beganAt, false, undefined);
    this.#receiver.responded(message);
  }

  failed(reason: unknown): void {
    this.#meter.end(this.#call, this.#beganAt, true, reason);
    this.#receiver.failed(reason);
  }
}

/** Passes a stream's responses through unchanged; it only checks whether the stream has ended. */
class MeteredStream
  implements AsyncIterableIterator<unknown>, StepIterator<unknown>, StepReceiver<unknown>
{
  readonly #call: ServerCall;
  readonly #meter: MethodMeter;
  readonly #responses: AsyncIterator<unknown> & Partial<StepIterator<unknown>>;
  readonly #beganAt: number;
  #receiver: StepReceiver<unknown> | undefined;
  #ended = false;

  constructor(call: ServerCall, meter: MethodMeter, responses: AsyncIterator<unknown>) {
    this.#call = call;
    this.#meter = meter;
    this.#responses = responses;
    this.#beganAt = meter.begin();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    return new Promise((stepped, threw) => this.step({ stepped, threw }));
  }

  step(receiver: StepReceiver<unknown>): void {
    this.#receiver = receiver;
    if (this.#responses.step !== undefined) {
      this.#responses.step(this);
      return;
    }
    this.#responses.next().then(
      (step) => this.stepped(step),
      (reason) => this.threw(reason),
    );
  }

  stepped(step: IteratorResult<unknown>): void {
    if (step.done === true) this.#end(false, undefined);
    this.#receiver?.stepped(step);
  }

  threw(reason: unknown): void {
    this.#end(true, reason);
    this.#receiver?.threw(reason);
  }

  async return(): Promise<IteratorResult<unknown>> {
    const last = await this.#responses.return?.();
    this.#end(false, undefined);
    return last ?? { done: true, value: undefined };
  }

  #end(failed: boolean, reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#meter.end(this.#call, this.#beganAt, failed, reason);
  }
}
