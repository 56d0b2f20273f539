import { type IncomingMessage, type ServerResponse, validateHeaderValue } from "node:http";
import { type Deadline, monotonicNow } from "../../base/deadline.ts";
import { errorCode } from "../http2/error-code.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderTemplate } from "../http2/hpack/header-template.ts";
import { abandonBody } from "./abandon-body.ts";
import type { CallStream, CallStreamHandler } from "./call-stream.ts";
import type { DueStream, DueStreams } from "./due-streams.ts";
import type { StalledResponse, StalledResponses } from "./stalled-responses.ts";

/** What a stream requires of its connection. */
export interface Http1StreamConnection {
  /** Bytes that may wait to be read by the receiver of a request. */
  readonly windowBytes: number;
  readonly stalled: StalledResponses;
  readonly due: DueStreams;
  /** Bytes of all responses that the client has not read. */
  unsentBytes: number;
  /** Whether the connection closes after a response whose header is written now. */
  endsWith(response: ServerResponse): boolean;
}

/**
 * How much of one response may wait for its caller: this many bytes, plus the message that exceeds
 * them, and this many messages, because each costs Node some hundred bytes of its own.
 */
const most = { bytes: 32 * 1024, messages: 32 };

const noFields: readonly HeaderField[] = [];
const nothing = new Uint8Array(0);

/** A request of HTTP/1.1 and its response, by Node's parser, in the form of a stream of HTTP/2. */
export class IncomingHttp1Stream implements CallStream, DueStream, StalledResponse {
  handler!: CallStreamHandler;
  localEnded = false;
  closed = false;
  dueAt: Deadline = Number.POSITIVE_INFINITY;
  takenAt: Deadline = 0;
  /** The bytes and the messages of the response that the caller has not read. */
  bytes = 0;
  #messages = 0;
  #isBlocked = false;
  /** The header of the response, until its first data. */
  #head: string[] | undefined;
  #status = 200;
  /** Bytes of the request that were passed on and are not consumed. */
  #unread = 0;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: Http1StreamConnection;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Http1StreamConnection,
  ) {
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
  }

  /** Begins to pass the request on, to the handler that is known by now. */
  open(hasBody: boolean): void {
    const request = this.#request;
    // The end of the response reports both.
    request.on("error", () => undefined);
    this.#response.on("error", () => undefined);
    this.#response.once("close", () => this.#end());
    abandonBody(request, this.#response);
    if (!hasBody) return;
    request.on("data", (chunk: Buffer) => this.#received(chunk));
    request.once("end", () => {
      if (!this.closed) this.handler.onEnd(this, undefined);
    });
  }

  get isWaiting(): boolean {
    return this.#messages > 0;
  }

  head(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[] = noFields,
    end = false,
  ): void {
    if (this.localEnded || this.closed) return;
    const lines: string[] = [];
    for (const { name, value } of [...(template?.fields ?? noFields), ...fields]) {
      if (name === ":status") this.#status = Number(value);
      else {
        validateHeaderValue(name, value);
        lines.push(name, value);
      }
    }
    this.#head = lines;
    if (end) this.send(nothing, 0, 0, true);
  }

  send(bytes: Uint8Array, start: number, end: number, isLast = false): boolean {
    if (this.localEnded || this.closed) return true;
    const piece = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    this.#writeHead(isLast ? piece.length : undefined);
    this.localEnded = isLast;
    this.#waits(piece.length);
    // After an error, the end of the response is reported.
    const taken = (error?: Error | null) => {
      if (!error) this.#took(piece.length);
    };
    if (isLast) this.#response.end(piece, taken);
    else this.#response.write(piece, taken);
    this.#isBlocked = this.#isFull;
    return !this.#isBlocked;
  }

  trailers(template: HeaderTemplate | undefined, fields: readonly HeaderField[] = noFields): void {
    if (this.localEnded || this.closed) return;
    const lines: [string, string][] = [];
    for (const { name, value } of [...(template?.fields ?? noFields), ...fields]) {
      validateHeaderValue(name, value);
      lines.push([name, value]);
    }
    this.#writeHead(undefined);
    this.localEnded = true;
    this.#response.addTrailers(lines);
    this.#response.end();
  }

  discard(): void {
    // Node holds it, and drops it with the connection.
  }

  consume(bytes: number): void {
    this.#unread -= bytes;
    if (this.#unread * 2 <= this.#connection.windowBytes && this.#request.isPaused()) {
      this.#request.resume();
    }
  }

  reset(): void {
    this.#response.destroy();
  }

  wakeAt(deadline: Deadline): void {
    this.dueAt = deadline;
    if (deadline !== Number.POSITIVE_INFINITY && !this.closed) this.#connection.due.watch(this);
  }

  wake(now: Deadline): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    this.handler.onDue(this, now);
  }

  /** Ends a call whose caller did not read its response for too long. */
  giveUp(): void {
    this.reset();
  }

  get #isFull(): boolean {
    return this.bytes >= most.bytes || this.#messages >= most.messages;
  }

  #writeHead(bodyBytes: number | undefined): void {
    const lines = this.#head;
    if (lines === undefined) return;
    this.#head = undefined;
    if (bodyBytes !== undefined) lines.push("content-length", String(bodyBytes));
    if (this.#connection.endsWith(this.#response)) lines.push("connection", "close");
    this.#response.writeHead(this.#status, lines);
  }

  #received(chunk: Buffer): void {
    if (this.closed) return;
    this.#unread += chunk.length;
    if (this.#unread >= this.#connection.windowBytes) this.#request.pause();
    // Not a Buffer: the fields of a message that is read from one would be Buffers.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.handler.onData(this, bytes, 0, bytes.length);
  }

  #waits(bytes: number): void {
    if (this.#messages === 0) {
      this.takenAt = monotonicNow();
      this.#connection.stalled.add(this);
    }
    this.#messages++;
    this.bytes += bytes;
    this.#connection.unsentBytes += bytes;
  }

  /** Called when the system has taken a message, or will never. */
  #took(bytes: number): void {
    if (this.closed) return;
    this.bytes -= bytes;
    this.#connection.unsentBytes -= bytes;
    this.takenAt = monotonicNow();
    if (--this.#messages === 0) this.#connection.stalled.delete(this);
    if (!this.#isBlocked || this.#isFull) return;
    this.#isBlocked = false;
    this.handler.onWritable(this);
  }

  /** Called when the response is complete, or the connection is lost. */
  #end(): void {
    if (this.closed) return;
    this.closed = true;
    this.localEnded = true;
    const connection = this.#connection;
    connection.stalled.delete(this);
    connection.due.delete(this);
    connection.unsentBytes -= this.bytes;
    this.bytes = 0;
    if (!this.#response.writableFinished) this.handler.onReset(this, errorCode.cancel, "peer");
    this.handler.onClosed?.(this);
  }
}
