import { type Abortable, unwatchAbort, watchAbort } from "../base/abort-watch.ts";
import { hasPassed } from "../base/deadline.ts";
import { asMicroError, MicroError, type Outcome } from "../base/error.ts";
import { deadlineExceeded } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import { decodeWithin } from "../codec/message-elements.ts";
import {
  cancelledBy,
  codecError,
  connectionLost,
  undecodableResponse,
} from "../transport/call-errors.ts";
import type { OutgoingCall } from "../transport/transport.ts";
import type { ConnectionUser, GoMicroClientConnection } from "./client-connection.ts";
import { readError } from "./error-headers.ts";
import { readMetadata, readTrailers } from "./headers.ts";
import { type GoMicroMessage, headerName } from "./message.ts";
import type { OutgoingRequest, OutgoingRequests } from "./outgoing-call.ts";
import { encodeRequest, requestHeader } from "./request.ts";
import { unusableResponse } from "./response-failure.ts";

/** An outgoing unary call. */
export class OutgoingUnary implements OutgoingRequest, ConnectionUser, Abortable {
  readonly outgoing: OutgoingCall;
  readonly #channel: OutgoingRequests;
  readonly #method: AnyMethod;
  readonly #resolve: (response: unknown) => void;
  readonly #reject: (reason: MicroError) => void;
  #connection: GoMicroClientConnection | undefined;
  #over = false;

  constructor(
    channel: OutgoingRequests,
    method: AnyMethod,
    outgoing: OutgoingCall,
    resolve: (response: unknown) => void,
    reject: (reason: MicroError) => void,
  ) {
    this.#channel = channel;
    this.#method = method;
    this.outgoing = outgoing;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Before the request was sent, nothing has been executed. */
  get #outcome(): Outcome {
    return this.#connection === undefined ? "not-executed" : "unknown";
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
      (connection) => this.#send(connection, body),
      (reason) => this.#fail(asMicroError(reason)),
    );
  }

  received(message: GoMicroMessage): void {
    const connection = this.#connection!;
    const { outgoing } = this;
    let unreadable: MicroError | undefined;
    try {
      outgoing.responseMetadata = readMetadata(message, connection.firstHeader);
      outgoing.trailers = readTrailers(message);
    } catch (reason) {
      unreadable = undecodableResponse(reason, this.#method.name);
    }
    const error = message.header.get(headerName.error.toLowerCase());
    if (error) {
      this.#giveBack();
      this.#fail(readError(error, message));
      return;
    }
    if (unreadable !== undefined) {
      this.#giveBack();
      this.#fail(unreadable);
      return;
    }
    // A late response is not worth decoding. A long turn may have delayed the deadline's timer.
    if (hasPassed(outgoing.deadline)) {
      this.expire();
      return;
    }
    let response: unknown;
    try {
      response = this.#decode(message);
    } catch (reason) {
      this.#giveBack();
      this.#fail(undecodableResponse(reason, this.#method.name));
      return;
    }
    this.#giveBack();
    if (this.#end()) this.#resolve(response);
  }

  drained(): void {}

  lost(reason: MicroError | undefined, outcome: Outcome = this.#outcome): void {
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
    // Closing the connection notifies the server, and a response that arrives too late is dropped.
    this.#connection?.destroy();
    this.#fail(error);
  }

  #send(connection: GoMicroClientConnection, body: Uint8Array): void {
    if (this.#over) {
      this.#channel.release(connection);
      return;
    }
    const header = requestHeader(
      this.#channel,
      this.#method,
      this.outgoing,
      this.#channel.nextId(),
    );
    try {
      connection.send(header, body);
    } catch (reason) {
      this.#channel.release(connection);
      this.#fail(codecError(reason, "not-executed"));
      return;
    }
    this.#connection = connection;
    connection.use(this);
  }

  #decode({ header, body }: GoMicroMessage): unknown {
    const { form, contentType } = this.#channel.callForm;
    const type = header.get(headerName.contentType.toLowerCase()) ?? contentType;
    // A go-micro server reports an unknown content type in this way.
    if (body.length > 0 && type.startsWith("text/plain")) {
      // Only the bytes that are shown: a substring keeps the whole text in memory.
      throw new Error(Buffer.from(body.subarray(0, 800)).toString().slice(0, 200));
    }
    const { maxMessageElements } = this.#channel.limits;
    const codec = form.codec(this.#method.output);
    const { message } = form.open(body, maxMessageElements);
    return decodeWithin(codec, message, 0, message.length, false, maxMessageElements);
  }

  #giveBack(): void {
    if (this.#connection !== undefined) this.#channel.release(this.#connection);
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
