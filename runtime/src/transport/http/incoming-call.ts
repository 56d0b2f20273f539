import type { Message } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ContextKey,
  createContextKey,
  type HandlerContext,
} from "@connectrpc/connect";
import { listenForAbort } from "../../base/abort.ts";
import { deadlineAfter } from "../../base/deadline.ts";
import { isMicroError, MicroError, wellFormed } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import { deadlineExceeded, type Peer, ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import {
  callEnded,
  callerGone,
  codecError,
  encodeMetadata,
  responseError,
} from "../call-errors.ts";
import { type HeaderLine, headerLines, metadataFrom } from "../http-headers.ts";
import { encodeResponse } from "../message-bytes.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import { CancellableIterator } from "./cancellable-iterator.ts";
import { compressResponses, requestCompressed } from "./compression/keys.ts";
import { deadlineSkewMs } from "./deadline-skew.ts";
import type { MessageAdapter } from "./message-adapter.ts";
import { fromConnectError, isDeadline, toConnectError, toGoMicroStatus } from "./status.ts";

/** The HTTP side of a call, as its handler side uses it. */
export interface Exchange {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly peer: Peer;
  /** Whether the caller is a go-micro gRPC client. */
  readonly goMicro: boolean;
  /**
   * Called once the handler side knows of the call; it then reports the outcome of a failure
   * itself.
   */
  taken(): void;
  /** The header of the request as received. */
  readonly requestLines: Iterable<HeaderLine>;
  /** Adds to the header of the response, which has not been sent yet. */
  writeHeader(lines: Iterable<HeaderLine>): void;
  /**
   * Returns whether the next message to read arrived compressed, and advances to the one after it.
   */
  nextCompressed(): boolean;
  /** Sets whether the next message to send may be compressed. */
  mayCompress(allowed: boolean): void;
  /** Whether the request was received completely; Node silently ends a stream that was reset. */
  receivedAll(): boolean;
}

/** The key of the {@link Exchange} in Connect's context. */
export const exchangeKey: ContextKey<Exchange | undefined> = createContextKey<Exchange | undefined>(
  undefined,
);

/** Turns of the event loop within which a reset is reported after it has ended a stream. */
const turnsToReset = 4;

/** A method with the adapters of its messages. */
export interface ServedMethod {
  readonly method: AnyMethod;
  readonly input: MessageAdapter;
  readonly output: MessageAdapter;
}

/**
 * One call that arrived over HTTP, between Connect and the dispatcher. Connect parses and writes
 * messages, headers and statuses. This class cancels the call when the caller disconnects or the
 * deadline passes, whatever its handler does.
 */
export class IncomingCall {
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
    const metadata = requestMetadata(exchange);
    exchange.taken();
    const timeoutMs = context.timeoutMs();
    this.#served = served;
    this.#context = context;
    this.#exchange = exchange;
    this.#call = new ServerCall(
      served.method,
      exchange.peer,
      metadata,
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : deadlineAfter(timeoutMs),
    );
  }

  /** Handles a unary call. */
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

  /** Handles a call with a single response, such as a client-streaming call. */
  async single(requests: AsyncIterable<Message>): Promise<Message> {
    const answers = this.stream(requests);
    const first = await answers.next();
    if (first.done === true) {
      throw toConnectError(
        new MicroError("internal", `the handler of ${this.#served.method.name} gave no response`, {
          outcome: "executed",
        }),
      );
    }
    await answers.next();
    return first.value;
  }

  /** Handles a call of any streaming kind. */
  stream(messages: AsyncIterable<Message>): AsyncIterableIterator<Message> {
    const requests = new CancellableIterator(
      messages,
      (message: Message) => this.#received(message),
      (reason) => this.#call.cancelled ?? unreadable(reason),
      async () => {
        // Node's client ends a stream just before it resets it, and may send the two separately.
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
    const bytes = encodeResponse(dispatcher, this.#call, init, limits.maxMessageBytes);
    this.#exchange.mayCompress(this.#call.get(compressResponses));
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
    listenForAbort(signal, (reason) => {
      if (!this.#over) this.#onCancel?.(givenUp(reason, this.#call));
    });
  }

  /** The call has its response. Metadata that cannot be sent still fails it. */
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
      // Metadata that cannot be sent must not hide the error from the caller.
    }
    return this.#status(responseError(reason, this.#served.method.name));
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

/** @throws ConnectError for metadata over its limits. */
function requestMetadata({ requestLines }: Exchange): Metadata {
  try {
    return metadataFrom(requestLines);
  } catch (reason) {
    throw isMicroError(reason) ? toConnectError(reason) : reason;
  }
}

/**
 * Returns why a request cannot be read. Connect has its own messages for malformed or oversized
 * requests.
 */
function unreadable(reason: unknown): MicroError {
  return reason instanceof ConnectError ? fromConnectError(reason) : codecError(reason, "unknown");
}

/** Returns why Connect cancelled a call. */
function givenUp(reason: unknown, call: ServerCall): MicroError {
  const { name } = call.method;
  if (isMicroError(reason)) return wellFormed(reason);
  // A caller whose deadline passes slightly earlier than here resets the stream.
  const late = isDeadline(reason) || call.remainingMs() <= deadlineSkewMs;
  return late ? deadlineExceeded(name) : callerGone(name);
}

/** Returns a stream that has failed before it began. */
function failing(reason: unknown): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason) }) };
}
