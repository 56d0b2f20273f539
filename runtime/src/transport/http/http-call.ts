import type { Message } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, type StreamResponse } from "@connectrpc/connect";
import { type Abortable, unwatchAbort, watchAbort } from "../../abort-watch.ts";
import { asAnswer } from "../../answer.ts";
import { deadlineExceeded } from "../../call.ts";
import { remainingMs } from "../../deadline.ts";
import { asMicroError, MicroError } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import { cancelledBy, connectionLost, undecodableAnswer } from "../call-errors.ts";
import { encodeRequest } from "../memory-message.ts";
import type { OutgoingCall, TransportLimits } from "../transport.ts";
import type { CalledMethod, CalledMethods } from "./called-methods.ts";
import type { HttpLink, RequestWatch } from "./http-link.ts";
import { groupLines, type HeaderLine, headerLines, metadataFrom } from "./http-metadata.ts";
import { fromConnectError } from "./http-status.ts";
import { OutgoingMessages } from "./outgoing-messages.ts";
import { soonMs } from "./soon.ts";

/** `setTimeout` fires at once for anything longer than this. */
const longestTimerMs = 2 ** 31 - 1;

/** What a call needs of the channel that it goes out by. */
export interface HttpCalls {
  readonly limits: TransportLimits;
  readonly methods: CalledMethods;
  readonly link: HttpLink;
  /** Why a call must not begin; undefined when it may. */
  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined;
  begin(call: HttpCall): void;
  /** @param reset whether its request was cut off, of which servers do not bear any number. */
  ended(call: HttpCall, reset: boolean): void;
}

/** One call by HTTP: Connect sends and reads, this knows how it may end and what came along. */
export class HttpCall implements Abortable, RequestWatch {
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  readonly #channel: HttpCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #header = new Headers();
  readonly #controller = new AbortController();
  #reject: ((error: unknown) => void) | undefined;
  /** Why this side ended the call. */
  #givenUp: unknown;
  /** The reader of its answers is gone. */
  #left = false;
  #open = false;
  #sent = false;
  #refused = false;
  #cancelledThere = false;
  #lost = false;
  #answered = false;
  #headerLines: readonly HeaderLine[] | undefined;
  #trailerLines: readonly HeaderLine[] | undefined;

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
        this.#channel.link.client(this),
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

  stream(requests: AsyncIterable<unknown> | Iterable<unknown>): AsyncIterableIterator<unknown> {
    const answers = this.#stream(requests);
    const iterator: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => answers.next(),
      // A generator that waits for an answer would only end with that.
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
    const messages = new OutgoingMessages(
      requests,
      (init) =>
        called.input.sent(encodeRequest(this.#method, init, limits.maxMessageBytes, "unknown")),
      (reason) => this.#giveUp(asMicroError(reason)),
    );
    let answers: AsyncIterator<Message> | undefined;
    try {
      const transport = methods.transport(link.client(this), this.#outgoing.compress);
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
      for (;;) {
        const step = await this.#race(answers.next());
        if (step.done === true) break;
        this.#deliverHeader();
        yield this.#received(called, step.value);
      }
      this.#answered = true;
      this.#deliver(response.trailer);
      return undefined;
    } catch (reason) {
      if (this.#left) return undefined;
      throw this.#failed(reason);
    } finally {
      if (!this.#answered) this.#abort(answers);
      messages.leave();
      this.#end();
    }
  }

  aborted(reason: unknown): void {
    this.#giveUp(cancelledBy(reason, this.#method.name, this.#outcome));
  }

  /** Ends the call here. */
  cancel(error: MicroError): void {
    this.#giveUp(error);
  }

  /** The connection is gone. */
  cut(reason: MicroError): void {
    // What the answer's own end says, which may have come before, counts more.
    setImmediate(() => this.#giveUp(connectionLost(this.#method.name, reason, this.#outcome)));
  }

  sent(): void {
    this.#sent = true;
  }

  refused(): void {
    this.#refused = true;
  }

  cancelled(): void {
    this.#cancelledThere = true;
  }

  lost(): void {
    this.#lost = true;
  }

  header(lines: readonly HeaderLine[]): void {
    this.#headerLines = lines;
  }

  trailers(lines: readonly HeaderLine[]): void {
    this.#trailerLines = lines;
  }

  get #outcome(): "unknown" | "not-executed" {
    return this.#sent && !this.#refused ? "unknown" : "not-executed";
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
    this.#channel.ended(this, !this.#answered && this.#sent);
  }

  /** Waits for Connect, but not when the call was given up: a server need not react. */
  #race<T>(event: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#givenUp !== undefined) reject(this.#givenUp);
      event.then(resolve, reject);
    });
  }

  #giveUp(reason: unknown): void {
    if (!this.#open || this.#givenUp !== undefined) return;
    this.#givenUp = reason;
    this.#reject?.(reason);
    this.#abort();
  }

  /** Not at once: Node 20 may crash when a stream is reset while another event of its session is handled. */
  #abort(answers?: AsyncIterator<Message>): void {
    const controller = this.#controller;
    setImmediate(() => {
      controller.abort(new ConnectError("given up", ConnectCode.Canceled));
      // Connect clears its timer for the deadline only when a reader meets the end that this is.
      answers?.next().catch(() => undefined);
    });
  }

  #received(called: CalledMethod, message: Message): unknown {
    try {
      return called.output.received(message);
    } catch (reason) {
      throw undecodableAnswer(reason, this.#method.name);
    }
  }

  /** What the caller gets of anything that ended the call. */
  #failed(reason: unknown): unknown {
    if (this.#givenUp !== undefined) return this.#givenUp;
    if (reason instanceof MicroError) return reason;
    const error = ConnectError.from(reason);
    const { name } = this.#method;
    if (this.#refused || this.#lost || isBroken(error)) {
      const cause = new MicroError("unavailable", this.#why(error), { cause: error });
      return connectionLost(name, cause, this.#outcome);
    }
    const unanswered =
      this.#headerLines === undefined && error.code === ConnectCode.DeadlineExceeded;
    // A server whose clock is a moment ahead gives the call up before it is late here.
    const late = this.#cancelledThere && remainingMs(this.#outgoing.deadline) <= soonMs;
    if (unanswered || late) return deadlineExceeded(name, this.#outcome);
    this.#answered = this.#headerLines !== undefined && error.code !== ConnectCode.DeadlineExceeded;
    this.#deliver(error.metadata, true);
    const failure = fromConnectError(error);
    // What Micro-ES says of itself is known by its outcome.
    return failure.outcome === "unknown" && this.#isAnswered(error) ? asAnswer(failure) : failure;
  }

  #why(error: ConnectError): string {
    if (this.#refused) return "the other side refused it unseen";
    return this.#lost ? "the connection was closed by the other side" : error.rawMessage;
  }

  /** Whether an error is what the other side answered, and not what was wrong with its answer. */
  #isAnswered(error: ConnectError): boolean {
    if (this.#headerLines === undefined) return false;
    return error.metadata.has("grpc-status") || this.#channel.methods.protocol !== "grpc";
  }

  #deliverHeader(): void {
    const lines = this.#split().header;
    this.#outgoing.responseMetadata ??= metadataOf(lines);
  }

  /** @param rest what Connect has of trailers, or, where the call failed, of all that came. */
  #deliver(rest: Headers, failed = false): void {
    const { header, trailers } = this.#split();
    this.#outgoing.responseMetadata ??= metadataOf(header);
    this.#outgoing.trailers = metadataOf(trailers ?? (failed ? without(rest, header) : [...rest]));
  }

  /** What came before and after the messages; the latter undefined where only Connect has it. */
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
    // An answer of nothing but trailers has them where the header would be.
    if (header.some(([name]) => name === "grpc-status")) return { header: [], trailers: header };
    return { header, trailers: this.#trailerLines };
  }
}

function metadataOf(lines: readonly HeaderLine[]): OutgoingCall["trailers"] {
  const metadata = metadataFrom(lines);
  return metadata.isEmpty ? undefined : metadata;
}

/** The lines of trailers among those of header and trailers together, in which values of one name are joined. */
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

/** Whether an error is of the connection and no answer: Node's own errors have a code of their own. */
function isBroken(error: ConnectError): boolean {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return true;
  }
  return false;
}
