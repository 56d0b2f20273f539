import { type Abortable, unwatchAbort, watchAbort } from "../../abort-watch.ts";
import { deadlineExceeded } from "../../call.ts";
import { asMicroError, MicroError, type Outcome } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import { cancelledBy, codecError, connectionLost, undecodableAnswer } from "../call-errors.ts";
import type { OutgoingCall } from "../transport.ts";
import type { CalledCall, CalledCalls } from "./called-call.ts";
import type { ClientLink, LinkUser } from "./client-link.ts";
import { readError } from "./error-text.ts";
import { type GoMicroMessage, headerName } from "./message.ts";
import { readMetadata, readTrailers } from "./metadata-lines.ts";
import { encodeRequest, requestHeader } from "./request.ts";

/** A unary call that goes out. */
export class CalledUnary implements CalledCall, LinkUser, Abortable {
  readonly outgoing: OutgoingCall;
  readonly #channel: CalledCalls;
  readonly #method: AnyMethod;
  readonly #resolve: (answer: unknown) => void;
  readonly #reject: (reason: MicroError) => void;
  #link: ClientLink | undefined;
  #over = false;

  constructor(
    channel: CalledCalls,
    method: AnyMethod,
    outgoing: OutgoingCall,
    resolve: (answer: unknown) => void,
    reject: (reason: MicroError) => void,
  ) {
    this.#channel = channel;
    this.#method = method;
    this.outgoing = outgoing;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Nothing has been executed before the request went out. */
  get #outcome(): Outcome {
    return this.#link === undefined ? "not-executed" : "unknown";
  }

  start(request: unknown): void {
    const refused = this.#channel.refusal(this.#method, this.outgoing);
    if (refused !== undefined) {
      this.#reject(refused);
      return;
    }
    let body: Uint8Array;
    try {
      body = encodeRequest(this.#channel, this.#method, request, "not-executed");
      requestHeader(this.#channel, this.#method, this.outgoing, "");
    } catch (reason) {
      this.#reject(asMicroError(reason));
      return;
    }
    this.#channel.begin(this);
    if (this.outgoing.signal !== undefined) watchAbort(this.outgoing.signal, this);
    this.#channel.acquire().then(
      (link) => this.#send(link, body),
      (reason) => this.#fail(asMicroError(reason)),
    );
  }

  received(message: GoMicroMessage): void {
    const link = this.#link!;
    const { outgoing } = this;
    outgoing.responseMetadata = readMetadata(message, link.firstHeader);
    outgoing.trailers = readTrailers(message);
    const error = message.header.get(headerName.error.toLowerCase());
    if (error) {
      this.#giveBack();
      this.#fail(readError(error, message));
      return;
    }
    let answer: unknown;
    try {
      answer = this.#decode(message);
    } catch (reason) {
      this.#giveBack();
      this.#fail(undecodableAnswer(reason, this.#method.name));
      return;
    }
    this.#giveBack();
    if (this.#end()) this.#resolve(answer);
  }

  drained(): void {}

  lost(reason: MicroError | undefined, outcome: Outcome = this.#outcome): void {
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
    // A connection that is gone is how a server hears of it; an answer that comes too late finds nobody.
    this.#link?.destroy();
    this.#fail(error);
  }

  #send(link: ClientLink, body: Uint8Array): void {
    if (this.#over) {
      this.#channel.release(link);
      return;
    }
    const header = requestHeader(
      this.#channel,
      this.#method,
      this.outgoing,
      this.#channel.nextId(),
    );
    try {
      link.send(header, body);
    } catch (reason) {
      this.#channel.release(link);
      this.#fail(codecError(reason, "not-executed"));
      return;
    }
    this.#link = link;
    link.use(this);
  }

  #decode({ header, body }: GoMicroMessage): unknown {
    const { form, contentType } = this.#channel.callForm;
    const type = header.get(headerName.contentType.toLowerCase()) ?? contentType;
    // How a server of go-micro says that it does not know a content type.
    if (body.length > 0 && type.startsWith("text/plain")) {
      throw new Error(Buffer.from(body).toString().slice(0, 200));
    }
    return form.codec(this.#method.output).decode(form.open(body).message);
  }

  #giveBack(): void {
    if (this.#link !== undefined) this.#channel.release(this.#link);
  }

  #fail(error: MicroError): void {
    if (this.#end()) this.#reject(error);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);
    this.#channel.ended(this);
    return true;
  }
}
