import { type Abortable, unwatchAbort, watchAbort } from "../base/abort-watch.ts";
import { hasPassed } from "../base/deadline.ts";
import { asMicroError, MicroError, type Outcome } from "../base/error.ts";
import { deadlineExceeded } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import { decodeWithin } from "../codec/message-elements.ts";
import { cancelledBy, connectionLost, undecodableResponse } from "../transport/call-errors.ts";
import {
  DecodedAhead,
  messageOverheadBytes,
  ReceiveQueue,
  type ReceiveQueueOwner,
} from "../transport/streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../transport/streams/send-pump.ts";
import type { OutgoingCall } from "../transport/transport.ts";
import type { ConnectionUser, GoMicroClientConnection } from "./client-connection.ts";
import { readError } from "./error-headers.ts";
import { readMetadata, readTrailers } from "./headers.ts";
import {
  endOfStream,
  type GoMicroMessage,
  headerName,
  type OutgoingHeader,
  ourServer,
} from "./message.ts";
import type { OutgoingRequest, OutgoingRequests } from "./outgoing-call.ts";
import { encodeRequest, requestHeader } from "./request.ts";
import { unusableResponse } from "./response-failure.ts";

const nothing: Uint8Array = new Uint8Array(0);

/**
 * An outgoing streaming call, on a connection that no other call uses afterwards. Its first message
 * opens the stream and carries no request.
 *
 * go-micro's own clients cannot end their requests and continue to receive. A go-micro server
 * supports it nevertheless: the client sends the end of the stream with a request to close the
 * connection, and the server then finishes its responses and closes.
 */
export class OutgoingStream<O>
  implements OutgoingRequest, ConnectionUser, Abortable, ReceiveQueueOwner, SendPumpTarget<unknown>
{
  readonly outgoing: OutgoingCall;
  /** The responses that the caller iterates. */
  readonly responses: ReceiveQueue<O>;
  readonly decodedAhead: DecodedAhead = new DecodedAhead();
  readonly #channel: OutgoingRequests;
  readonly #method: AnyMethod;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  readonly #requests: SendPump<unknown>;
  readonly #id: string;
  #connection: GoMicroClientConnection | undefined;
  #begun = false;
  #over = false;
  #responded = false;
  #halfClosed = false;
  /** The server identifies itself as Micro-ES, whose streams have an explicit end. */
  #ours = false;
  #unread = 0;

  constructor(
    channel: OutgoingRequests,
    method: AnyMethod,
    source: AsyncIterable<unknown> | Iterable<unknown>,
    outgoing: OutgoingCall,
  ) {
    this.#channel = channel;
    this.#method = method;
    this.#source = source;
    this.outgoing = outgoing;
    this.responses = new ReceiveQueue<O>(this);
    this.#requests = new SendPump<unknown>(this, Number.MAX_SAFE_INTEGER);
    this.#id = channel.nextId();
  }

  get #outcome(): Outcome {
    return this.#connection === undefined ? "not-executed" : "unknown";
  }

  opened(): void {
    const refused = this.#channel.refusal(this.#method, this.outgoing) ?? this.#unsendable();
    if (refused !== undefined) {
      this.#over = true;
      this.responses.end(refused);
      return;
    }
    this.#begun = true;
    this.#channel.begin(this);
    if (this.outgoing.signal !== undefined) watchAbort(this.outgoing.signal, this);
    this.#channel.acquire().then(
      (connection) => this.#start(connection),
      (reason) => this.#fail(asMicroError(reason)),
    );
  }

  received(message: GoMicroMessage): void {
    if (this.#over) return;
    if (!this.#responded) {
      this.#responded = true;
      this.#ours = message.header.get("server") === ourServer;
      this.#readMetadata(() => {
        this.outgoing.responseMetadata = readMetadata(message, this.#connection?.firstHeader);
      });
      if (this.#over) return;
    }
    const error = message.header.get(headerName.error.toLowerCase());
    if (error) {
      this.#readMetadata(() => {
        this.outgoing.trailers = readTrailers(message);
      });
      if (this.#over) return;
      if (error === endOfStream) this.#finish();
      else this.#fail(readError(error, message));
      return;
    }
    this.#take(message);
    // This is the only response; a go-micro server sends nothing more after the end of the
    // requests.
    if (this.#method.kind === "client_streaming" && !this.#over) this.#finishSoon();
  }

  drained(): void {
    this.#requests.resume();
  }

  lost(reason: MicroError | undefined, outcome: Outcome = this.#outcome): void {
    const { kind } = this.#method;
    // A go-micro server ends a bidirectional stream in this way once the requests have ended.
    if (reason === undefined && this.#halfClosed && !this.#ours && kind === "bidi_streaming") {
      this.#finish();
      return;
    }
    const why =
      reason ?? new MicroError("unavailable", `${this.#channel.address} closed the connection`);
    this.#fail(connectionLost(this.#method.name, why, outcome));
  }

  unusable(error: MicroError, outcome: Outcome): void {
    this.#fail(unusableResponse(this.#method.name, error, outcome));
  }

  aborted(reason: unknown): void {
    this.cancel(cancelledBy(reason, this.#method.name, this.#outcome));
  }

  expire(): void {
    this.cancel(deadlineExceeded(this.#method.name, this.#outcome));
  }

  cancel(error: MicroError): void {
    this.#leave();
    this.#fail(error, true);
  }

  consumed(cost: number): void {
    this.#unread -= cost;
    if (this.#unread * 2 < this.#channel.limits.streamWindowBytes) this.#connection?.resume();
  }

  dropped(cost: number): void {
    this.#unread -= cost;
  }

  abandoned(): void {
    if (!this.#begun || this.#over) {
      this.#over = true;
      return;
    }
    this.#leave();
    this.#end();
  }

  blocked(): boolean {
    return this.#connection?.blocked ?? false;
  }

  send(request: unknown): number {
    const body = encodeRequest(this.#channel, this.#method, request, "unknown");
    this.#connection?.send(this.#header(), body);
    return body.length;
  }

  finished(): void {
    const header = this.#header();
    header.set(headerName.error, endOfStream);
    header.set(headerName.connection, "close");
    this.#halfClosed = true;
    this.#connection?.send(header, nothing);
  }

  failed(reason: unknown): void {
    this.cancel(asMicroError(reason));
  }

  #unsendable(): MicroError | undefined {
    try {
      this.#header();
      return undefined;
    } catch (reason) {
      return asMicroError(reason);
    }
  }

  #start(connection: GoMicroClientConnection): void {
    if (this.#over) {
      this.#channel.release(connection);
      return;
    }
    this.#connection = connection;
    connection.use(this);
    connection.send(this.#header(), nothing);
    this.#requests.start(this.#source);
  }

  /** Reads metadata; metadata over its limits ends the call. */
  #readMetadata(read: () => void): void {
    try {
      read();
    } catch (reason) {
      this.cancel(undecodableResponse(reason, this.#method.name));
    }
  }

  #take({ body }: GoMicroMessage): void {
    const cost = body.length + messageOverheadBytes;
    this.#unread += cost;
    this.responses.receive(body, 0, body.length, cost);
    if (!this.#over && this.#unread > this.#channel.limits.streamWindowBytes)
      this.#connection?.pause();
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    // Many messages in one turn, or one slow message, keep the deadline's timer from firing.
    if (!this.#over && hasPassed(this.outgoing.deadline)) {
      this.expire();
      return undefined;
    }
    const { form } = this.#channel.callForm;
    const { maxMessageElements } = this.#channel.limits;
    try {
      const codec = form.codec(this.#method.output);
      const { message } = form.open(bytes.subarray(start, end), maxMessageElements);
      return decodeWithin(codec, message, 0, message.length, false, maxMessageElements);
    } catch (reason) {
      this.#failDecoding(undecodableResponse(reason, this.#method.name));
      return undefined;
    }
  }

  /** Fails the responses, even if the call itself has ended and they are still unread. */
  #failDecoding(error: MicroError): void {
    if (!this.#over) this.cancel(error);
    else this.responses.abort(error);
  }

  #header(): OutgoingHeader {
    const { streamTimeout } = headerName;
    const header = requestHeader(
      this.#channel,
      this.#method,
      this.outgoing,
      this.#id,
      streamTimeout,
    );
    header.set(headerName.stream, this.#id);
    return header;
  }

  /**
   * Finishes in the next turn, so that an error which the server sends after its only response can
   * still arrive.
   */
  #finishSoon(): void {
    setImmediate(() => this.#finish());
  }

  /**
   * Closing the connection notifies the server; the end of the stream would mean that the requests
   * are complete.
   */
  #leave(): void {
    if (!this.#over) this.#connection?.destroy();
  }

  #finish(): void {
    if (this.#end()) this.responses.end();
  }

  #fail(error: MicroError, atOnce = false): void {
    if (!this.#end()) return;
    if (atOnce) this.responses.abort(error);
    else this.responses.end(error);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#requests.stop();
    if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);
    this.#connection?.end();
    this.#channel.ended(this);
    return true;
  }
}
