import { monotonicNow } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type {
  BufferedIterator,
  Channel,
  EndWatcher,
  WatchedIterator,
} from "../transport/transport.ts";
import type { Attempts } from "./attempts.ts";
import { rejectWithCaller, withCallContext } from "./call-error.ts";
import type { Requests } from "./interceptors.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Attempt, OutboundCall } from "./outbound-call.ts";

type Step = IteratorResult<unknown, undefined>;

const ended: Step = { done: true, value: undefined };

/** Reported for an attempt whose reader left before anything arrived. */
const left = new MicroError("canceled", "the reader left");

/**
 * The responses of one streaming call. Attempts are repeated until the first response arrives, and
 * only while no request was consumed that cannot be read again; from then on it is the transport's
 * stream.
 *
 * The call counts as open until its stream has ended, which the transport reports when it happens:
 * a reader that stops reading does not keep a call open.
 */
export class StreamCall implements AsyncIterableIterator<unknown, undefined>, EndWatcher {
  readonly #call: OutboundCall;
  readonly #attempts: Attempts;
  readonly #requests: RepeatableRequests;
  readonly #open: OpenCalls;
  #attempt: Attempt | undefined;
  #responses: AsyncIterator<unknown> | undefined;
  /** The same stream, if it can return buffered messages synchronously. */
  #buffered: BufferedIterator<unknown, undefined> | undefined;
  /** Whether the transport reports the end, so that reads need not check for it. */
  #watched = false;
  #first: Promise<Step> | undefined;
  /** The state of the reader. */
  #reading: "new" | "starting" | "flowing" | "over" = "new";
  /** Whether the call is counted as open. */
  #counted = false;

  constructor(call: OutboundCall, requests: Requests, attempts: Attempts, open: OpenCalls) {
    this.#call = call;
    this.#requests = new RepeatableRequests(requests);
    this.#attempts = attempts;
    this.#open = open;
  }

  next(): Promise<Step> {
    if (this.#reading === "flowing") {
      const buffered = this.#buffered;
      if (buffered === undefined) return this.#next();
      const ready = buffered.buffered();
      return ready === undefined ? buffered.next() : Promise.resolve(ready);
    }
    if (this.#reading === "over") return Promise.resolve(ended);
    if (this.#first === undefined) {
      this.#reading = "starting";
      this.#counted = true;
      this.#open.begin();
      this.#first = this.#start();
      return this.#first;
    }
    const again = () => this.next();
    return this.#first.then(again, again);
  }

  /** Returns the next message if it has arrived; undefined if the reader has to wait for one. */
  buffered(): IteratorYieldResult<unknown> | undefined {
    return this.#reading === "flowing" ? this.#buffered?.buffered() : undefined;
  }

  async return(): Promise<Step> {
    if (this.#reading === "over") return ended;
    const flowing = this.#reading === "flowing";
    if (this.#reading === "new") this.#call.release();
    this.#reading = "over";
    this.#settle(flowing ? undefined : left);
    await this.#responses?.return?.();
    return ended;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  ended(): void {
    if (!this.#counted) return;
    this.#call.budget.deposit();
    this.#settle(undefined);
  }

  failed(reason: Error): void {
    this.#settle(asMicroError(reason, "unknown"));
  }

  rejection(reason: Error): Promise<never> {
    return rejectWithCaller(asMicroError(reason, "unknown"), this.#call);
  }

  async #next(): Promise<Step> {
    try {
      const step = await this.#responses!.next();
      if (step.done !== true) return step;
      this.ended();
      return ended;
    } catch (reason) {
      const error = asMicroError(reason, "unknown");
      this.failed(error);
      throw withCallContext(error, this.#call);
    }
  }

  async #start(): Promise<Step> {
    for (;;) {
      let attempt: Attempt | undefined;
      try {
        attempt = this.#call.begin();
        this.#attempt = attempt;
        attempt.channel = await this.#attempts.route(this.#call, attempt);
        if (this.#hasLeft()) return this.#abandon(attempt);
        const step = await this.#begin(attempt.channel, attempt).next();
        if (this.#hasLeft()) return ended;
        this.#reading = "flowing";
        if (step.done === true) this.ended();
        else if (this.#watched) (this.#responses as WatchedIterator<unknown>).watchEnd(this);
        return step.done === true ? ended : step;
      } catch (reason) {
        if (attempt === undefined) throw this.#failBeforeAttempt(reason);
        if (this.#hasLeft()) return this.#abandon(attempt);
        await this.#prepareNext(attempt, reason);
        if (this.#hasLeft()) return ended;
      }
    }
  }

  #begin(channel: Channel, attempt: Attempt): AsyncIterator<unknown> {
    attempt.sentAt = monotonicNow();
    const responses = channel.stream(this.#call.method, this.#requests.forAttempt(), attempt);
    const iterator = responses[Symbol.asyncIterator]();
    this.#responses = iterator;
    this.#watched = isWatched(iterator);
    this.#buffered = isBuffered(iterator) ? iterator : undefined;
    return iterator;
  }

  /** Waits until the next attempt is due, or ends the call. */
  async #prepareNext(attempt: Attempt, reason: unknown): Promise<void> {
    this.#responses = undefined;
    try {
      await this.#attempts.prepareNext(this.#call, attempt, reason, this.#requests.taken);
    } catch (error) {
      if (this.#hasLeft()) return;
      this.#reading = "over";
      this.#settle(undefined);
      throw error;
    }
  }

  #failBeforeAttempt(reason: unknown): MicroError {
    this.#reading = "over";
    this.#settle(undefined);
    return withCallContext(asMicroError(reason, "unknown"), this.#call);
  }

  #hasLeft(): boolean {
    return this.#reading === "over";
  }

  #abandon(attempt: Attempt): Step {
    this.#attempts.report(attempt, undefined, left);
    return ended;
  }

  /** Ends the call. How long a stream stays open says nothing about the speed of its node. */
  #settle(error: MicroError | undefined): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#open.end(this.#call);
    if (this.#attempt !== undefined) this.#attempts.report(this.#attempt, undefined, error);
  }
}

function isWatched(iterator: AsyncIterator<unknown>): iterator is WatchedIterator<unknown> {
  return typeof (iterator as Partial<WatchedIterator<unknown>>).watchEnd === "function";
}

function isBuffered(
  iterator: AsyncIterator<unknown>,
): iterator is BufferedIterator<unknown, undefined> {
  return typeof (iterator as Partial<BufferedIterator<unknown, undefined>>).buffered === "function";
}

/** The requests of a call, which can be passed to another attempt as long as none was consumed. */
class RepeatableRequests {
  /** Whether a request was consumed that cannot be read again. */
  taken = false;
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * The requests for one attempt: an array as it is, since it can be read again; anything else is
   * tracked.
   */
  forAttempt(): Requests {
    if (Array.isArray(this.#requests)) return this.#requests;
    return { [Symbol.asyncIterator]: () => new WatchedRequests(this.#requests, this) };
  }
}

class WatchedRequests implements AsyncIterator<unknown> {
  readonly #requests: Requests;
  readonly #owner: RepeatableRequests;
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined;

  constructor(requests: Requests, owner: RepeatableRequests) {
    this.#requests = requests;
    this.#owner = owner;
  }

  next(): Promise<IteratorResult<unknown>> {
    try {
      if (this.#iterator === undefined) {
        this.#owner.taken = true;
        this.#iterator =
          Symbol.asyncIterator in this.#requests
            ? this.#requests[Symbol.asyncIterator]()
            : this.#requests[Symbol.iterator]();
      }
      const next = this.#iterator.next();
      return next instanceof Promise ? next : Promise.resolve(next);
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  /**
   * Before the first request this ends nothing: the next attempt may still consume the requests.
   */
  async return(): Promise<IteratorResult<unknown>> {
    await this.#iterator?.return?.();
    return ended;
  }
}
