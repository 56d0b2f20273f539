import type { Message } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, type StreamResponse } from "@connectrpc/connect";
import { type Abortable, unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import { type Deadline, hasPassed, remainingMs } from "../../base/deadline.ts";
import { asMicroError, isMicroError, MicroError, wellFormed } from "../../base/error.ts";
import { deadlineExceeded } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { markRemote } from "../../call/remote-error.ts";
import { cancelledBy, connectionLost, undecodableResponse } from "../call-errors.ts";
import { groupLines, type HeaderLine, headerLines, metadataFrom } from "../http-headers.ts";
import { encodeRequest } from "../message-bytes.ts";
import type { EndWatcher, OutgoingCall, TransportLimits, WatchedIterator } from "../transport.ts";
import type { HttpLink, RequestWatch } from "./link.ts";
import { OutgoingMessages } from "./outgoing-messages.ts";
import type { OutgoingMethod, OutgoingMethods } from "./outgoing-methods.ts";
import { ReadAhead, type Sized } from "./read-ahead.ts";
import { fromConnectError } from "./status.ts";

/** `setTimeout` fires at once for anything longer than this. */
const longestTimerMs = 2 ** 31 - 1;

/** What a call requires of its channel. */
export interface HttpCalls {
  readonly limits: TransportLimits;
  readonly methods: OutgoingMethods;
  readonly link: HttpLink;
  /** Returns why a call must not begin; undefined if it may. */
  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined;
  begin(call: HttpCall): void;
  /** Resolves when the stream of a call may be reset, which is never immediately. */
  mayReset(): Promise<void>;
  /** The header of a response has arrived. */
  responded(): void;
  /** Expires the call at its deadline, even if its responses are not being read. */
  expireLater(call: HttpCall): void;
  /** @param reset whether the request was reset; servers limit resets. */
  ended(call: HttpCall, reset: boolean): void;
}

/**
 * One call over HTTP/1.1. Connect sends and reads; this class determines how the call ends, and its
 * metadata.
 */
export class HttpCall implements Abortable, RequestWatch {
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  readonly #channel: HttpCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #header = new Headers();
  readonly #controller = new AbortController();
  #reject: ((error: unknown) => void) | undefined;
  /** Why this side ended the call. */
  #givenUp: MicroError | undefined;
  /** Why the call has failed, once it has. */
  #ending: MicroError | undefined;
  /** Once the stream is to be reset: resolves when it may be. */
  #resetting: Promise<void> | undefined;
  #watcher: EndWatcher | undefined;
  #messages: OutgoingMessages<unknown, unknown> | undefined;
  /** The reader of its responses has left. */
  #left = false;
  #open = false;
  #sent = false;
  #answered = false;
  #headerLines: readonly HeaderLine[] | undefined;

  constructor(channel: HttpCalls, method: AnyMethod, outgoing: OutgoingCall) {
    this.#channel = channel;
    this.#method = method;
    this.#outgoing = outgoing;
    const groups = groupLines(headerLines(outgoing.metadata));
    const repeated = new Map<string, readonly string[]>();
    for (const [name, values] of groups) {
      if (values.length > 1) repeated.set(name, values);
      for (const value of values) this.#header.append(name, value);
    }
    this.repeated = repeated;
  }

  async unary(request: unknown): Promise<unknown> {
    const { limits, methods } = this.#channel;
    const called = methods.of(this.#method);
    const bytes = encodeRequest(this.#method, request, limits.maxMessageBytes, "not-executed");
    this.#checkMetadata();
    const message = called.input.sent(bytes);
    this.#begin();
    try {
      const { descriptor } = called;
      const { compress } = this.#outgoing;
      const transport = methods.transport(
        called,
        this.#channel.link.client(this),
        () => this.#lateness(),
        typeof compress === "function" ? compress() : compress,
      );
      const response = await this.#race(
        transport.unary(
          descriptor as never,
          this.#controller.signal,
          this.#timeoutMs,
          this.#header,
          message as never,
        ),
      );
      this.#answered = true;
      const answer = this.#received(called, response.message);
      this.#deliver(response.trailer);
      return answer;
    } catch (reason) {
      throw this.#failed(reason);
    } finally {
      this.#end();
    }
  }

  stream(
    requests: AsyncIterable<unknown> | Iterable<unknown>,
  ): AsyncIterableIterator<unknown> & WatchedIterator<unknown> {
    const answers = this.#stream(requests);
    const iterator: AsyncIterableIterator<unknown> & WatchedIterator<unknown> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => answers.next(),
      watchEnd: (watcher) => this.#watchEnd(watcher),
      // A generator would return only once its pending response has arrived.
      return: () => {
        this.#left = true;
        this.#giveUp(cancelledBy(undefined, this.#method.name, this.#outcome));
        return answers.return(undefined);
      },
    };
    return iterator;
  }

  async *#stream(
    requests: AsyncIterable<unknown> | Iterable<unknown>,
  ): AsyncGenerator<unknown, undefined> {
    const refused = this.#channel.refusal(this.#method, this.#outgoing);
    if (refused !== undefined) throw refused;
    const called = this.#channel.methods.of(this.#method);
    this.#checkMetadata();
    this.#begin();
    const { limits, methods, link } = this.#channel;
    this.#channel.expireLater(this);
    const messages = new OutgoingMessages(
      requests,
      (init) =>
        called.input.sent(encodeRequest(this.#method, init, limits.maxMessageBytes, "unknown")),
      (reason) => this.#giveUp(asMicroError(reason)),
    );
    this.#messages = messages;
    let answers: AsyncIterator<Message> | undefined;
    try {
      const transport = methods.transport(
        called,
        link.client(this),
        () => this.#lateness(),
        this.#outgoing.compress,
      );
      const response: StreamResponse = await this.#race(
        transport.stream(
          called.descriptor as never,
          this.#controller.signal,
          this.#timeoutMs,
          this.#header,
          messages as never,
        ),
      );
      answers = response.message[Symbol.asyncIterator]() as AsyncIterator<Message>;
      const reading = answers;
      const ahead = new ReadAhead(
        () => this.#read(reading, called, response),
        limits.streamWindowBytes,
      );
      for (let step = await ahead.next(); step !== undefined; step = await ahead.next()) {
        if (this.#givenUp !== undefined) throw this.#givenUp;
        yield step.value;
      }
      return undefined;
    } catch (reason) {
      if (this.#left) return undefined;
      throw this.#failed(reason);
    } finally {
      if (!this.#answered) this.#abort(answers);
      this.#end();
    }
  }

  /**
   * Reads the next response; undefined at the end. The end takes effect here, whether or not the
   * reader gets this far.
   */
  async #read(
    answers: AsyncIterator<Message>,
    called: OutgoingMethod,
    response: StreamResponse,
  ): Promise<Sized<unknown> | undefined> {
    try {
      const step = await this.#race(answers.next());
      if (step.done !== true) {
        this.#deliverHeader();
        const size = called.output.sizeOf(step.value);
        return { value: this.#received(called, step.value), size };
      }
      this.#answered = true;
      this.#deliver(response.trailer);
      this.#end();
      return undefined;
    } catch (reason) {
      const error = asMicroError(this.#failed(reason));
      this.#ending ??= error;
      this.#end();
      throw error;
    }
  }

  #watchEnd(watcher: EndWatcher): void {
    this.#watcher = watcher;
    if (!this.#open) this.#tellWatcher();
  }

  #tellWatcher(): void {
    if (this.#ending === undefined) this.#watcher?.ended();
    else this.#watcher?.failed(this.#ending);
  }

  /** Ends the call because its deadline has passed. */
  expire(): void {
    this.#giveUp(deadlineExceeded(this.#method.name, this.#outcome));
  }

  aborted(reason: unknown): void {
    this.#giveUp(cancelledBy(reason, this.#method.name, this.#outcome));
  }

  get streaming(): boolean {
    return this.#method.kind !== "unary";
  }

  get deadline(): Deadline {
    return this.#outgoing.deadline;
  }

  /** Cancels the call from this side. */
  cancel(error: MicroError): void {
    this.#giveUp(error);
  }

  /** Ends the call because the connection is lost. */
  cut(reason: MicroError): void {
    // The end of the response itself takes precedence, and may have arrived before.
    setImmediate(() => this.#giveUp(connectionLost(this.#method.name, reason, this.#outcome)));
  }

  sent(): void {
    this.#sent = true;
  }

  header(lines: readonly HeaderLine[]): void {
    this.#headerLines = lines;
    this.#channel.responded();
  }

  get #outcome(): "unknown" | "not-executed" {
    return this.#sent ? "unknown" : "not-executed";
  }

  /**
   * Returns why no caller is waiting for a response any longer. A long turn may have delayed the
   * deadline's timer.
   */
  #lateness(): MicroError | undefined {
    if (this.#givenUp !== undefined) return this.#givenUp;
    if (!hasPassed(this.deadline)) return undefined;
    return deadlineExceeded(this.#method.name, this.#outcome);
  }

  get #timeoutMs(): number | undefined {
    const { deadline } = this.#outgoing;
    if (deadline === Number.POSITIVE_INFINITY) return undefined;
    return Math.min(Math.max(1, Math.ceil(remainingMs(deadline))), longestTimerMs);
  }

  #checkMetadata(): void {
    this.#outgoing.metadata?.encode();
  }

  #begin(): void {
    this.#open = true;
    this.#channel.begin(this);
    const { signal } = this.#outgoing;
    if (signal !== undefined) watchAbort(signal, this);
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    const { signal } = this.#outgoing;
    if (signal !== undefined) unwatchAbort(signal, this);
    this.#messages?.leave();
    this.#channel.ended(this, !this.#answered && this.#sent);
    this.#tellWatcher();
  }

  /** Waits for Connect, unless the call is cancelled: a server may not react. */
  #race<T>(event: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#givenUp !== undefined) reject(this.#givenUp);
      event.then(resolve, reject);
    });
  }

  /**
   * Ends the call from this side. It ends for the channel at once, whenever its reader finds out.
   */
  #giveUp(reason: MicroError): void {
    if (!this.#open || this.#givenUp !== undefined) return;
    this.#givenUp = reason;
    this.#ending = reason;
    this.#reject?.(reason);
    this.#abort();
    this.#end();
  }

  #abort(answers?: AsyncIterator<Message>): void {
    this.#resetting ??= this.#channel.mayReset();
    this.#resetting.then(() => {
      this.#controller.abort(new ConnectError("cancelled", ConnectCode.Canceled));
      // Connect clears its deadline timer only when a reader reaches this end.
      answers?.next().catch(() => undefined);
    });
  }

  #received(called: OutgoingMethod, message: Message): unknown {
    const late = this.#lateness();
    if (late !== undefined) throw late;
    try {
      return called.output.received(message);
    } catch (reason) {
      throw undecodableResponse(reason, this.#method.name);
    }
  }

  /** Returns the error that the caller gets for anything that ended the call. */
  #failed(reason: unknown): unknown {
    if (this.#givenUp !== undefined) return this.#givenUp;
    if (isMicroError(reason)) return wellFormed(reason);
    const error = ConnectError.from(reason);
    const { name } = this.#method;
    // An unreadable response is reported with this side's own error.
    if (isMicroError(error.cause)) {
      const { cause } = error;
      if (cause.code === "deadline_exceeded") return cause;
      // The server's certificate expired during its response; reading never fails with this code.
      if (cause.code === "unauthenticated") return connectionLost(name, cause, this.#outcome);
      return undecodableResponse(cause, name);
    }
    // An error response from the server has no cause here: this is JSON that cannot be read.
    if (
      this.#headerLines !== undefined &&
      error.code === ConnectCode.InvalidArgument &&
      error.cause
    )
      return undecodableResponse(error.cause, name);
    if (isBroken(error)) {
      const cause = new MicroError("unavailable", error.rawMessage, { cause: error });
      return connectionLost(name, cause, this.#outcome);
    }
    if (this.#headerLines === undefined && error.code === ConnectCode.DeadlineExceeded) {
      return deadlineExceeded(name, this.#outcome);
    }
    this.#answered = this.#headerLines !== undefined && error.code !== ConnectCode.DeadlineExceeded;
    try {
      this.#deliver(error.metadata, true);
    } catch {
      // Metadata that cannot be read must not hide the error that it came with.
    }
    const failure = fromConnectError(error);
    // An error from a Micro-ES server is recognized by its outcome.
    return failure.outcome === "unknown" && this.#isAnswered(error) ? markRemote(failure) : failure;
  }

  /** Whether an error is the server's response, and not a problem with that response. */
  #isAnswered(error: ConnectError): boolean {
    if (this.#headerLines === undefined) return false;
    return error.metadata.has("grpc-status") || this.#channel.methods.protocol !== "grpc";
  }

  /** @throws MicroError for metadata over its limits. */
  #deliverHeader(): void {
    const lines = this.#split().header;
    this.#outgoing.responseMetadata ??= this.#metadata(lines);
  }

  /**
   * @param rest Connect's trailers or, if the call failed, all headers and trailers that arrived.
   * @throws MicroError for metadata over its limits.
   */
  #deliver(rest: Headers, failed = false): void {
    const { header, trailers } = this.#split();
    this.#outgoing.responseMetadata ??= this.#metadata(header);
    this.#outgoing.trailers = this.#metadata(
      trailers ?? (failed ? without(rest, header) : [...rest]),
    );
  }

  #metadata(lines: readonly HeaderLine[]): OutgoingCall["trailers"] {
    try {
      const metadata = metadataFrom(lines);
      return metadata.isEmpty ? undefined : metadata;
    } catch (reason) {
      throw undecodableResponse(reason, this.#method.name);
    }
  }

  /**
   * Returns what arrived before and after the messages. The trailers are undefined if only Connect
   * has them.
   */
  #split(): { header: readonly HeaderLine[]; trailers: readonly HeaderLine[] | undefined } {
    const header = this.#headerLines ?? [];
    if (this.#channel.methods.protocol === "connect" && this.#method.kind === "unary") {
      const prefix = "trailer-";
      const isTrailer = ([name]: HeaderLine) => name.toLowerCase().startsWith(prefix);
      return {
        header: header.filter((line) => !isTrailer(line)),
        trailers: header
          .filter(isTrailer)
          .map(([name, value]) => [name.slice(prefix.length), value] as const),
      };
    }
    // A trailers-only response has its trailers in place of the header.
    if (header.some(([name]) => name === "grpc-status")) return { header: [], trailers: header };
    return { header, trailers: undefined };
  }
}

/**
 * Returns the lines of the trailers from header and trailers combined, in which values of one name
 * are joined.
 */
function without(all: Headers, header: readonly HeaderLine[]): readonly HeaderLine[] {
  const lines: HeaderLine[] = [];
  const known = groupLines(header);
  for (const [name, value] of all) {
    const before = known.get(name)?.join(", ");
    if (before === undefined) lines.push([name, value]);
    else if (value.startsWith(`${before}, `)) lines.push([name, value.slice(before.length + 2)]);
  }
  return lines;
}

/**
 * Whether an error is a connection error and not a response: Node's own errors have a code
 * property.
 */
function isBroken(error: ConnectError): boolean {
  // A response over a limit has Node's inflation error as its cause.
  if (error.code === ConnectCode.ResourceExhausted) return false;
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return true;
  }
  return false;
}
