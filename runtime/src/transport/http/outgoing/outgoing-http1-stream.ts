import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  request as startRequest,
  validateHeaderValue,
} from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Deadline } from "../../../base/deadline.ts";
import { isMicroError, MicroError, messageOf } from "../../../base/error.ts";
import { errorCode } from "../../http2/error-code.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { CallStream, CallStreamHandler } from "../call-stream.ts";
import { headerListOf } from "../raw-headers.ts";
import type { DialTarget } from "./dial-target.ts";

/** What a stream requires of its channel. */
export interface OutgoingHttp1Connection {
  readonly agent: Agent;
  readonly target: DialTarget;
  /** Bytes that may wait to be read by the receiver of a response. */
  readonly windowBytes: number;
  /** The header of a response has arrived. */
  responded(): void;
  /** The connection of a request was lost before there was a response. */
  failing(reason: MicroError): void;
}

/** The largest header of a response that is accepted, in bytes, and the most lines. */
const maxHeaderBytes = 64 * 1024;
const maxHeaderLines = 160;

const noFields: readonly HeaderField[] = [];

/** A request of HTTP/1.1 and its response, by Node's parser, in the form of a stream of HTTP/2. */
export class OutgoingHttp1Stream implements CallStream {
  handler: CallStreamHandler;
  localEnded = false;
  closed = false;
  dueAt: Deadline = Number.POSITIVE_INFINITY;
  /** Whether some of the request may have reached the server. */
  hasLeft = false;
  /** Why the connection was lost. */
  loss: MicroError | undefined;
  readonly #connection: OutgoingHttp1Connection;
  readonly #fields: readonly HeaderField[];
  /** Undefined until the request is sent. */
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  /** Bytes of the response that were passed on and are not consumed. */
  #unread = 0;
  #hasEnded = false;

  /**
   * @param fields of the request, with pseudo-header fields
   * @param end whether there is no body
   * @throws TypeError for a field that HTTP does not allow
   */
  constructor(
    connection: OutgoingHttp1Connection,
    fields: readonly HeaderField[],
    end: boolean,
    handler: CallStreamHandler,
  ) {
    for (const { name, value } of fields) validateHeaderValue(name, value);
    this.#connection = connection;
    this.#fields = fields;
    this.handler = handler;
    this.localEnded = end;
    if (end) this.#start(noFields).end();
    // A body that is sent at once has a length.
    else queueMicrotask(() => this.#startChunked());
  }

  get isWaiting(): boolean {
    return this.#request !== undefined && this.#request.writableLength > 0;
  }

  head(): void {
    // Only responses have a header of their own.
  }

  send(bytes: Uint8Array, start: number, end: number, isLast = false): boolean {
    if (this.localEnded || this.closed) return true;
    this.localEnded = isLast;
    const piece = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    const length = isLast ? [new HeaderField("content-length", String(piece.length))] : noFields;
    const request = this.#request ?? this.#start(length);
    if (!isLast) return request.write(piece);
    request.end(piece);
    return true;
  }

  trailers(): void {
    // Requests have none.
  }

  discard(): void {
    // Node holds it, and drops it with the connection.
  }

  consume(bytes: number): void {
    this.#unread -= bytes;
    const response = this.#response;
    if (this.#unread * 2 <= this.#connection.windowBytes && response?.isPaused() === true) {
      response.resume();
    }
  }

  reset(code: number): void {
    if (this.closed) return;
    this.#close();
    this.handler.onReset(this, code, "self");
  }

  wakeAt(): void {
    // The channel watches the deadlines of its calls.
  }

  #startChunked(): void {
    if (this.#request === undefined && !this.closed) this.#start(noFields).flushHeaders();
  }

  #start(further: readonly HeaderField[]): ClientRequest {
    const { agent, target } = this.#connection;
    const lines: string[] = [];
    let method = "POST";
    let path = "/";
    for (const { name, value } of [...this.#fields, ...further]) {
      if (name === ":method") method = value;
      else if (name === ":path") path = value;
      else if (name === ":authority") lines.push("host", value);
      else if (!name.startsWith(":")) lines.push(name, value);
    }
    const request = startRequest({
      agent,
      protocol: target.isSecure ? "https:" : "http:",
      host: target.host,
      port: target.port,
      method,
      path,
      headers: lines as never,
      maxHeaderSize: maxHeaderBytes,
    });
    this.#request = request;
    request.once("socket", (socket) => this.#watch(socket));
    request.once("response", (response) => this.#responded(response));
    request.on("drain", () => {
      if (!this.closed) this.handler.onWritable(this);
    });
    request.on("error", (reason) => this.#lost(reason));
    request.once("close", () => this.#lost(new Error("the connection was closed")));
    return request;
  }

  /** Notices when the connection is open, and the request leaves. */
  #watch(socket: Socket): void {
    const { isSecure } = this.#connection.target;
    const isOpening = isSecure
      ? (socket as TLSSocket & { secureConnecting?: boolean }).secureConnecting !== false
      : socket.connecting;
    if (!isOpening) this.hasLeft = true;
    else {
      socket.once(isSecure ? "secureConnect" : "connect", () => {
        this.hasLeft = true;
      });
    }
  }

  #responded(response: IncomingMessage): void {
    response.on("error", (reason) => this.#lost(reason));
    if (this.closed) return;
    this.#response = response;
    this.#connection.responded();
    const list = headerListOf(response.rawHeaders);
    if (list.fields.length > maxHeaderLines) {
      this.#violated();
      return;
    }
    const length = list.get("content-length");
    this.handler.onHead(
      this,
      {
        method: "",
        scheme: "",
        authority: "",
        path: "",
        status: response.statusCode ?? 0,
        contentLength: length === undefined ? -1 : Number(length),
        firstField: 0,
      },
      list,
    );
    response.on("data", (chunk: Buffer) => this.#received(chunk));
    response.once("end", () => this.#ended(response));
  }

  #received(chunk: Buffer): void {
    if (this.closed) return;
    this.#unread += chunk.length;
    if (this.#unread >= this.#connection.windowBytes) this.#response!.pause();
    // Not a Buffer: the fields of a message that is read from one would be Buffers.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.handler.onData(this, bytes, 0, bytes.length);
  }

  #ended({ rawTrailers }: IncomingMessage): void {
    if (this.closed) return;
    if (rawTrailers.length > 2 * maxHeaderLines) {
      this.#violated();
      return;
    }
    this.#hasEnded = true;
    const trailers = rawTrailers.length === 0 ? undefined : headerListOf(rawTrailers);
    this.handler.onEnd(this, trailers);
  }

  /** Called when the connection is lost, or the request and its response are complete. */
  #lost(reason: unknown): void {
    if (this.closed) return;
    if ((reason as NodeJS.ErrnoException).code === "HPE_HEADER_OVERFLOW") {
      this.#violated();
      return;
    }
    this.#close();
    if (!this.#hasEnded) {
      this.loss = lossOf(reason);
      if (this.#response === undefined) this.#connection.failing(this.loss);
      this.handler.onReset(this, errorCode.cancel, "connection");
    }
    this.handler.onClosed?.(this);
  }

  /** Called for a header or trailers that are too large. */
  #violated(): void {
    this.#close();
    this.handler.onReset(this, errorCode.enhanceYourCalm, "self");
  }

  #close(): void {
    this.closed = true;
    this.localEnded = true;
    this.#request?.destroy();
  }
}

function lossOf(reason: unknown): MicroError {
  // The server's certificate has expired.
  if (isMicroError(reason)) return reason;
  const message = `the connection ended without a complete response: ${messageOf(reason)}`;
  return new MicroError("unavailable", message, { cause: reason });
}
