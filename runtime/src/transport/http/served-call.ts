import type { Message } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ContextKey,
  createContextKey,
  type HandlerContext,
} from "@connectrpc/connect";
import { deadlineExceeded, type Peer, ServerCall } from "../../call.ts";
import { deadlineAfter } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import type { Metadata } from "../../metadata.ts";
import type { AnyMethod } from "../../method.ts";
import { answerError, callEnded, callerGone, codecError, encodeMetadata } from "../call-errors.ts";
import { encodeAnswer } from "../memory-message.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import { CancellableIterator } from "./cancellable-iterator.ts";
import { compressAnswers, requestCompressed } from "./compression-keys.ts";
import { type HeaderLine, headerLines, metadataFrom } from "./http-metadata.ts";
import { fromConnectError, isDeadline, toConnectError, toGoMicroStatus } from "./http-status.ts";
import type { MessageForm } from "./message-form.ts";
import { soonMs } from "./soon.ts";

/** What the HTTP side of a call tells the one that answers it. */
export interface Exchange {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly peer: Peer;
  /** Whether the caller is a gRPC client of go-micro's. */
  readonly goMicro: boolean;
  /** The call is known to somebody who says himself what is known of its effect, when it fails. */
  taken(): void;
  /** The header of the request as it came. */
  readonly requestLines: Iterable<HeaderLine>;
  /** Adds to the header of the answer, which is not sent yet. */
  writeHeader(lines: Iterable<HeaderLine>): void;
  /** Takes whether the message that is read next came compressed. */
  nextCompressed(): boolean;
  /** Says whether the message that is sent next may be compressed. */
  mayCompress(allowed: boolean): void;
  /** Whether the request ended as its sender meant it; Node ends a stream that was reset without a word. */
  receivedAll(): boolean;
}

/** Where {@link Exchange} is in the context that Connect hands over. */
export const exchangeKey: ContextKey<Exchange | undefined> = createContextKey<Exchange | undefined>(
  undefined,
);

/** Turns of the event loop within which the reset of a stream is here that was ended because of it. */
const turnsToReset = 4;

/** A method with the forms of its messages. */
export interface ServedMethod {
  readonly method: AnyMethod;
  readonly input: MessageForm;
  readonly output: MessageForm;
}

/**
 * One call that came by HTTP, between Connect and the dispatcher. Connect parses and writes messages, headers and
 * statuses; this cancels the call when the caller is gone or the deadline has passed, whatever its handler does.
 */
export class ServedCall {
  readonly #served: ServedMethod;
  readonly #context: HandlerContext;
  readonly #exchange: Exchange;
  readonly #call: ServerCall;
  #over = false;
  #headerWritten = false;
  #onCancel: ((error: MicroError) => void) | undefined;

  constructor(served: ServedMethod, context: HandlerContext) {
    const exchange = context.values.get(exchangeKey);
    if (exchange === undefined) throw new Error("a call came by no exchange");
    exchange.taken();
    const timeoutMs = context.timeoutMs();
    this.#served = served;
    this.#context = context;
    this.#exchange = exchange;
    this.#call = new ServerCall(
      served.method,
      exchange.peer,
      metadataFrom(exchange.requestLines),
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : deadlineAfter(timeoutMs),
    );
  }

  /** Answers a unary call. */
  unary(request: Message): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.#watch(reject);
      if (this.#over) return;
      const fail = (reason: unknown) => {
        if (!this.#over) reject(this.#failed(reason));
      };
      try {
        const message = this.#received(request);
        const answer = this.#exchange.dispatcher.unary(this.#call, message);
        Promise.resolve(answer)
          .then((init) => {
            if (this.#over) return;
            const sent = this.#sent(init);
            this.#finish();
            resolve(sent);
          })
          .catch(fail);
      } catch (reason) {
        fail(reason);
      }
    });
  }

  /** Answers a call with one answer, as of a method that takes many requests. */
  async single(requests: AsyncIterable<Message>): Promise<Message> {
    const answers = this.stream(requests);
    const first = await answers.next();
    if (first.done === true) {
      throw toConnectError(
        new MicroError("internal", `the handler of ${this.#served.method.name} gave no answer`, {
          outcome: "executed",
        }),
      );
    }
    await answers.next();
    return first.value;
  }

  /** Answers a call of any streaming kind. */
  stream(messages: AsyncIterable<Message>): AsyncIterableIterator<Message> {
    const requests = new CancellableIterator(
      messages,
      (message: Message) => this.#received(message),
      (reason) => this.#call.cancelled ?? unreadable(reason),
      async () => {
        // Node's own client, when it resets a stream, ends it just before, and may write the two one by one.
        for (let turn = 0; turn < turnsToReset; turn++) await new Promise(setImmediate);
        if (!this.#exchange.receivedAll()) throw callerGone(this.#served.method.name);
      },
    );
    let source: AsyncIterable<unknown>;
    try {
      source = this.#exchange.dispatcher.stream(this.#call, requests);
    } catch (reason) {
      source = failing(reason);
    }
    const answers = new CancellableIterator(
      source,
      (init: unknown) => this.#sent(init),
      (reason) => {
        requests.cancel(callEnded(this.#served.method.name));
        return this.#failed(reason);
      },
      () => {
        requests.cancel(callEnded(this.#served.method.name));
        this.#finish();
      },
    );
    this.#watch((error) => {
      requests.cancel(this.#call.cancelled ?? error);
      answers.cancel(error);
    });
    return answers;
  }

  #received(message: Message): unknown {
    if (this.#exchange.nextCompressed() !== this.#call.get(requestCompressed)) {
      this.#call.set(requestCompressed, !this.#call.get(requestCompressed));
    }
    try {
      return this.#served.input.received(message);
    } catch (reason) {
      throw codecError(reason, "not-executed");
    }
  }

  #sent(init: unknown): Message {
    const { dispatcher, limits } = this.#exchange;
    this.#writeHeader();
    const bytes = encodeAnswer(dispatcher, this.#call, init, limits.maxMessageBytes);
    this.#exchange.mayCompress(this.#call.get(compressAnswers));
    return this.#served.output.sent(bytes);
  }

  #watch(cancelled: (error: Error) => void): void {
    const { signal } = this.#context;
    this.#onCancel = (error) => {
      this.#over = true;
      this.#call.cancel(error);
      this.#writeTrailers();
      cancelled(this.#status(error));
    };
    const aborted = () => {
      if (!this.#over) this.#onCancel?.(givenUp(signal.reason, this.#call));
    };
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
  }

  /** The call has its answer. Metadata that cannot be sent fails it all the same. */
  #finish(): void {
    this.#writeHeader();
    const { sentTrailers } = this.#call;
    if (sentTrailers !== undefined) encodeMetadata(sentTrailers, this.#served.method);
    this.#writeTrailers();
    this.#over = true;
  }

  #failed(reason: unknown): Error {
    this.#over = true;
    try {
      this.#writeHeader();
      this.#writeTrailers();
    } catch {
      // Metadata that cannot be sent must not keep the caller from its error.
    }
    return this.#status(answerError(reason, this.#served.method.name));
  }

  #status(error: MicroError): Error {
    return this.#exchange.goMicro
      ? toGoMicroStatus(error, this.#served.method.service)
      : toConnectError(error);
  }

  #writeHeader(): void {
    if (this.#headerWritten) return;
    this.#headerWritten = true;
    const { sentMetadata } = this.#call;
    if (sentMetadata === undefined) return;
    encodeMetadata(sentMetadata, this.#served.method);
    this.#exchange.writeHeader(headerLines(sentMetadata));
  }

  #writeTrailers(): void {
    const trailers: Metadata | undefined = this.#call.sentTrailers;
    for (const [name, value] of headerLines(trailers)) {
      this.#context.responseTrailer.append(name, value);
    }
  }
}

/** Why a request cannot be read: Connect has its own words for what is no message, or too large a one. */
function unreadable(reason: unknown): MicroError {
  return reason instanceof ConnectError ? fromConnectError(reason) : codecError(reason, "unknown");
}

/** Why Connect gives a call up. */
function givenUp(reason: unknown, call: ServerCall): MicroError {
  const { name } = call.method;
  if (reason instanceof MicroError) return reason;
  // A caller whose deadline passes a moment before it does here resets the stream.
  const late = isDeadline(reason) || call.remainingMs() <= soonMs;
  return late ? deadlineExceeded(name) : callerGone(name);
}

/** A stream that has failed before it began. */
function failing(reason: unknown): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason) }) };
}
