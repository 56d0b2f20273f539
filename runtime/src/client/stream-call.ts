import { monotonicNow } from "../deadline.ts";
import { asMicroError, MicroError } from "../error.ts";
import type { BufferedIterator, Channel, EndWatcher } from "../transport/transport.ts";
import type { Attempts } from "./attempts.ts";
import { ofCall } from "./call-error.ts";
import type { Requests } from "./interceptors.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Attempt, OutboundCall } from "./outbound-call.ts";

type Answer = IteratorResult<unknown, undefined>;

const ended: Answer = { done: true, value: undefined };

/** What an attempt is reported as whose reader left before anything came. */
const left = new MicroError("canceled", "the reader left");

/**
 * The answers of one streaming call. Attempts are repeated until the first answer is there, and only while no
 * request was taken that cannot be had again; from then on it is the transport's stream.
 */
export class StreamCall implements AsyncIterableIterator<unknown, undefined>, EndWatcher {
  readonly #call: OutboundCall;
  readonly #attempts: Attempts;
  readonly #requests: RepeatableRequests;
  readonly #open: OpenCalls;
  #attempt: Attempt | undefined;
  #answers: AsyncIterator<unknown> | undefined;
  /** The same, where it can say at once what has come. */
  #buffered: BufferedIterator<unknown, undefined> | undefined;
  #first: Promise<Answer> | undefined;
  #state: "new" | "starting" | "flowing" | "ended" = "new";

  constructor(call: OutboundCall, requests: Requests, attempts: Attempts, open: OpenCalls) {
    this.#call = call;
    this.#requests = new RepeatableRequests(requests);
    this.#attempts = attempts;
    this.#open = open;
  }

  next(): Promise<Answer> {
    if (this.#state === "flowing") {
      const buffered = this.#buffered;
      if (buffered === undefined) return this.#next();
      const ready = buffered.buffered();
      return ready === undefined ? buffered.next() : Promise.resolve(ready);
    }
    if (this.#state === "ended") return Promise.resolve(ended);
    if (this.#first === undefined) {
      this.#state = "starting";
      this.#open.begin();
      this.#first = this.#start();
      return this.#first;
    }
    const again = () => this.next();
    return this.#first.then(again, again);
  }

  async return(): Promise<Answer> {
    const { answers, attempt } = { answers: this.#answers, attempt: this.#attempt };
    const flowing = this.#state === "flowing";
    if (this.#state === "ended") return ended;
    this.#end();
    attempt?.report(undefined, flowing ? undefined : left);
    await answers?.return?.();
    return ended;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  ended(): void {
    this.#succeed();
  }

  failed(reason: Error): Error {
    return this.#state === "ended" ? reason : this.#fail(asMicroError(reason, "unknown"));
  }

  async #next(): Promise<Answer> {
    try {
      const answer = await this.#answers!.next();
      if (answer.done !== true) return answer;
      this.#succeed();
      return ended;
    } catch (reason) {
      throw this.#fail(asMicroError(reason, "unknown"));
    }
  }

  async #start(): Promise<Answer> {
    for (;;) {
      const attempt = this.#call.begin();
      this.#attempt = attempt;
      try {
        attempt.channel = await this.#attempts.route(this.#call, attempt);
        if (this.#hasLeft()) return this.#abandon(attempt);
        const answer = await this.#begin(attempt.channel, attempt).next();
        if (this.#hasLeft()) return ended;
        this.#state = "flowing";
        if (answer.done !== true) {
          this.#buffered?.watchEnd(this);
          return answer;
        }
        this.#succeed();
        return ended;
      } catch (reason) {
        if (this.#hasLeft()) return this.#abandon(attempt);
        await this.#prepareNext(attempt, reason);
        if (this.#hasLeft()) return ended;
      }
    }
  }

  #begin(channel: Channel, attempt: Attempt): AsyncIterator<unknown> {
    attempt.sentAt = monotonicNow();
    const answers = channel.stream(this.#call.method, this.#requests.forAttempt(), attempt);
    const iterator = answers[Symbol.asyncIterator]();
    this.#answers = iterator;
    this.#buffered = isBuffered(iterator) ? iterator : undefined;
    return iterator;
  }

  /** Waits for the time of the next attempt, or ends the call. */
  async #prepareNext(attempt: Attempt, reason: unknown): Promise<void> {
    this.#answers = undefined;
    try {
      await this.#attempts.prepareNext(this.#call, attempt, reason, this.#requests.taken);
    } catch (error) {
      if (this.#hasLeft()) return;
      this.#end();
      throw error;
    }
  }

  #hasLeft(): boolean {
    return this.#state === "ended";
  }

  #abandon(attempt: Attempt): Answer {
    attempt.report(undefined, left);
    return ended;
  }

  #succeed(): void {
    if (this.#state === "ended") return;
    // How long a stream stays open says nothing of how fast its node is.
    this.#attempt?.report(undefined);
    this.#call.budget.deposit();
    this.#end();
  }

  #fail(error: MicroError): MicroError {
    this.#attempt?.report(undefined, error);
    this.#end();
    return ofCall(error, this.#call);
  }

  #end(): void {
    if (this.#state === "ended") return;
    if (this.#state === "new") this.#call.release();
    else this.#open.end(this.#call);
    this.#state = "ended";
  }
}

function isBuffered(
  iterator: AsyncIterator<unknown>,
): iterator is BufferedIterator<unknown, undefined> {
  return typeof (iterator as Partial<BufferedIterator<unknown, undefined>>).buffered === "function";
}

/** The requests of a call, which can be given to another attempt as long as none was taken from them. */
class RepeatableRequests {
  /** Whether a request was taken that cannot be had again. */
  taken = false;
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** What an attempt sends: an array as it is, since it can be read again, and anything else watched. */
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
    if (this.#iterator === undefined) {
      this.#owner.taken = true;
      this.#iterator =
        Symbol.asyncIterator in this.#requests
          ? this.#requests[Symbol.asyncIterator]()
          : this.#requests[Symbol.iterator]();
    }
    const next = this.#iterator.next();
    return next instanceof Promise ? next : Promise.resolve(next);
  }

  /** Before the first request this ends nothing: the next attempt may still take it. */
  async return(): Promise<IteratorResult<unknown>> {
    await this.#iterator?.return?.();
    return ended;
  }
}
