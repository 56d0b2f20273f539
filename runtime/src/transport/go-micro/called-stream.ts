import { type Abortable, unwatchAbort, watchAbort } from "../../abort-watch.ts";
import { deadlineExceeded } from "../../call.ts";
import { asMicroError, MicroError, type Outcome } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import { cancelledBy, connectionLost, undecodableAnswer } from "../call-errors.ts";
import { Inbox, type InboxOwner, messageOverheadBytes } from "../inbox.ts";
import { Pump, type PumpTarget } from "../pump.ts";
import type { OutgoingCall } from "../transport.ts";
import type { CalledCall, CalledCalls } from "./called-call.ts";
import type { ClientLink, LinkUser } from "./client-link.ts";
import { readError } from "./error-text.ts";
import {
  endOfStream,
  type GoMicroMessage,
  headerName,
  type OutgoingHeader,
  ourServer,
} from "./message.ts";
import { readMetadata, readTrailers } from "./metadata-lines.ts";
import { encodeRequest, requestHeader } from "./request.ts";

const nothing: Uint8Array = new Uint8Array(0);

/**
 * A call of a streaming kind that goes out, on a link that no other call uses after it. Its first message opens it and has no request.
 *
 * go-micro's own clients cannot say that no further request comes and go on listening. A server reads it all the same:
 * the end of the stream, with the wish that the connection be closed. It finishes its answers then, and closes.
 */
export class CalledStream<O>
  implements CalledCall, LinkUser, Abortable, InboxOwner, PumpTarget<unknown>
{
  readonly outgoing: OutgoingCall;
  /** What the caller iterates. */
  readonly answers: Inbox<O>;
  readonly #channel: CalledCalls;
  readonly #method: AnyMethod;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  readonly #requests: Pump<unknown>;
  readonly #id: string;
  #link: ClientLink | undefined;
  #begun = false;
  #over = false;
  #answered = false;
  #halfClosed = false;
  /** The server says that it is ours, whose streams have an end. */
  #ours = false;
  #unread = 0;

  constructor(
    channel: CalledCalls,
    method: AnyMethod,
    source: AsyncIterable<unknown> | Iterable<unknown>,
    outgoing: OutgoingCall,
  ) {
    this.#channel = channel;
    this.#method = method;
    this.#source = source;
    this.outgoing = outgoing;
    this.answers = new Inbox<O>(this);
    this.#requests = new Pump<unknown>(this, Number.MAX_SAFE_INTEGER);
    this.#id = channel.nextId();
  }

  get #outcome(): Outcome {
    return this.#link === undefined ? "not-executed" : "unknown";
  }

  opened(): void {
    const refused = this.#channel.refusal(this.#method, this.outgoing) ?? this.#unsendable();
    if (refused !== undefined) {
      this.#over = true;
      this.answers.end(refused);
      return;
    }
    this.#begun = true;
    this.#channel.begin(this);
    if (this.outgoing.signal !== undefined) watchAbort(this.outgoing.signal, this);
    this.#channel.acquire().then(
      (link) => this.#start(link),
      (reason) => this.#fail(asMicroError(reason)),
    );
  }

  received(message: GoMicroMessage): void {
    if (this.#over) return;
    if (!this.#answered) {
      this.#answered = true;
      this.#ours = message.header.get("server") === ourServer;
      this.outgoing.responseMetadata = readMetadata(message, this.#link?.firstHeader);
    }
    const error = message.header.get(headerName.error.toLowerCase());
    if (error) {
      this.outgoing.trailers = readTrailers(message);
      if (error === endOfStream) this.#finish();
      else this.#fail(readError(error, message));
      return;
    }
    this.#take(message);
    // Its one answer is there; a server of go-micro's says no more after the end of the requests.
    if (this.#method.kind === "client_streaming" && !this.#over) this.#finishSoon();
  }

  drained(): void {
    this.#requests.resume();
  }

  lost(reason: MicroError | undefined, outcome: Outcome = this.#outcome): void {
    const { kind } = this.#method;
    // As a server of go-micro's ends a conversation whose requests have ended.
    if (reason === undefined && this.#halfClosed && !this.#ours && kind === "bidi_streaming") {
      this.#finish();
      return;
    }
    const why =
      reason ?? new MicroError("unavailable", `${this.#channel.address} closed the connection`);
    this.#fail(connectionLost(this.#method.name, why, outcome));
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
    if (this.#unread * 2 < this.#channel.limits.streamWindowBytes) this.#link?.resume();
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
    return this.#link?.blocked ?? false;
  }

  send(request: unknown): number {
    const body = encodeRequest(this.#channel, this.#method, request, "unknown");
    this.#link?.send(this.#header(), body);
    return body.length;
  }

  finished(): void {
    const header = this.#header();
    header.set(headerName.error, endOfStream);
    header.set(headerName.connection, "close");
    this.#halfClosed = true;
    this.#link?.send(header, nothing);
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

  #start(link: ClientLink): void {
    if (this.#over) {
      this.#channel.release(link);
      return;
    }
    this.#link = link;
    link.use(this);
    link.send(this.#header(), nothing);
    this.#requests.start(this.#source);
  }

  #take({ body }: GoMicroMessage): void {
    const { form } = this.#channel.callForm;
    let answer: O;
    try {
      answer = form.codec(this.#method.output).decode(form.open(body).message) as O;
    } catch (reason) {
      this.#leave();
      this.#fail(undecodableAnswer(reason, this.#method.name));
      return;
    }
    const cost = body.length + messageOverheadBytes;
    this.#unread += cost;
    this.answers.push(answer, cost);
    if (this.#unread > this.#channel.limits.streamWindowBytes) this.#link?.pause();
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

  /** Ends once what the server may add to its one answer, as an error, has had its chance to come. */
  #finishSoon(): void {
    setImmediate(() => this.#finish());
  }

  /** The connection that is gone tells the server; the end of the stream would say that all was said. */
  #leave(): void {
    if (!this.#over) this.#link?.destroy();
  }

  #finish(): void {
    if (this.#end()) this.answers.end();
  }

  #fail(error: MicroError, atOnce = false): void {
    if (!this.#end()) return;
    if (atOnce) this.answers.abort(error);
    else this.answers.end(error);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#requests.stop();
    if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);
    this.#link?.end();
    this.#channel.ended(this);
    return true;
  }
}
