import type { Deadline } from "../base/deadline.ts";
import type { MicroError } from "../base/error.ts";
import type { Metadata } from "../base/metadata.ts";
import type { Identity } from "../call/account.ts";
import { deadlineExceeded, type Peer, ServerCall } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type { AnyCodec } from "../codec/codec.ts";
import { decodeWithin } from "../codec/message-elements.ts";
import {
  callerGone,
  codecError,
  encodeMetadata,
  invalidResponse,
  messageTooLarge,
  responseError,
} from "../transport/call-errors.ts";
import { errorText } from "../transport/go-micro-error.ts";
import type { Dispatcher, TransportLimits } from "../transport/transport.ts";
import type { BodyCodec, OpenedBody } from "./body-codec.ts";
import { writeError } from "./error-headers.ts";
import { writeMetadata, writeTrailers } from "./headers.ts";
import { headerName, type OutgoingHeader, ourServer } from "./message.ts";

/** The listener of incoming calls. */
export interface IncomingCalls {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  begin(call: IncomingCall): void;
  ended(call: IncomingCall): void;
}

/** The request that begins a call. */
export interface IncomingRequest {
  readonly method: AnyMethod;
  readonly form: BodyCodec;
  readonly contentType: string;
  readonly opened: OpenedBody;
  readonly peer: Peer;
  readonly metadata: Metadata;
  readonly deadline: Deadline;
  /** Who calls; undefined for a caller without an account. */
  readonly identity: Identity | undefined;
  /** Lines that every message of the response repeats. */
  readonly marks: OutgoingHeader;
}

/** How much later the deadline of a call is here than at its caller, in milliseconds. */
const deadlineSkewMs = 20;

/**
 * The part that both kinds of call share: how messages are read and written, and how a call ends.
 */
export abstract class IncomingCall {
  readonly call: ServerCall;
  protected readonly calls: IncomingCalls;
  readonly request: IncomingRequest;
  readonly #input: AnyCodec;
  readonly #output: AnyCodec;
  #metadataSent = false;
  #over = false;

  /**
   * @throws MicroError `unimplemented` if the content type requires a descriptor and the method has
   * none.
   */
  constructor(calls: IncomingCalls, request: IncomingRequest) {
    const { method, form } = request;
    this.calls = calls;
    this.request = request;
    this.#input = form.codec(method.input);
    this.#output = form.codec(method.output);
    this.call = new GoMicroServerCall(this);
    if (calls.dispatcher.access !== undefined) this.call.admit(request.identity);
  }

  /** Whether the caller has its response, or has disconnected. */
  get over(): boolean {
    return this.#over;
  }

  /** Passes the call to the dispatcher. */
  abstract run(): void;

  /**
   * Cancels the call: notifies the handler that the caller is no longer waiting, and sends the
   * error to a caller that is still connected.
   */
  cancel(error: MicroError): void {
    if (this.#over) return;
    this.call.cancel(error);
    this.respondWithError(error);
  }

  /** Ends the call because the connection is lost. */
  leave(): void {
    const { name } = this.request.method;
    // A caller whose deadline passes slightly earlier than here closes the connection.
    this.cancel(
      this.call.remainingMs() <= deadlineSkewMs ? deadlineExceeded(name) : callerGone(name),
    );
  }

  /** Ends the call because its deadline has passed. */
  expire(): void {
    this.cancel(deadlineExceeded(this.request.method.name));
  }

  /** Sends a message of the response, unless the call has ended. */
  protected abstract deliver(header: OutgoingHeader, body: Uint8Array): void;

  /** Detaches the call from its connection. */
  protected abstract release(): void;

  protected decodeRequest(message: Uint8Array): unknown {
    try {
      const { maxMessageElements } = this.calls.limits;
      return decodeWithin(this.#input, message, 0, message.length, false, maxMessageElements);
    } catch (reason) {
      throw codecError(reason, "not-executed");
    }
  }

  /**
   * Sends the handler's message.
   * @throws MicroError if the message is invalid or exceeds a limit.
   */
  protected sendMessage(init: unknown, header: OutgoingHeader): number {
    const { form, contentType, opened, method } = this.request;
    const { dispatcher, limits } = this.calls;
    let message: Uint8Array;
    try {
      message = this.#output.encode(init);
    } catch (reason) {
      throw dispatcher.invalidResponse?.(this.call, reason) ?? invalidResponse(method, reason);
    }
    if (message.length > limits.maxMessageBytes) {
      throw messageTooLarge(
        `the response of ${method.name}`,
        message.length,
        limits.maxMessageBytes,
        "executed",
      );
    }
    const body = form.encodeResponse(message, opened);
    if (body.length > 0) header.set(headerName.contentType, contentType);
    this.deliver(this.#withMetadata(header), body);
    return body.length;
  }

  /** Sends the last message, without a body. */
  protected sendEnd(header: OutgoingHeader): void {
    writeTrailers(header, this.#checkedTrailers());
    this.deliver(this.#withMetadata(header), new Uint8Array(0));
  }

  protected respondWithError(reason: unknown): void {
    if (this.#over) return;
    const { method, form, opened, contentType } = this.request;
    const error = responseError(reason, method.name);
    const header: OutgoingHeader = new Map();
    writeError(header, error, method.service);
    const body = form.error(errorText(error, method.service), opened);
    if (body.length > 0) header.set(headerName.contentType, contentType);
    try {
      writeTrailers(header, this.#checkedTrailers());
      this.#withMetadata(header);
    } catch {
      // Metadata that cannot be sent must not hide the error from the caller.
    }
    this.deliver(header, body);
    this.finish();
  }

  /** Ends the call, because the caller has its whole response. */
  protected finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.release();
    this.calls.ended(this);
  }

  protected trailersInto(header: OutgoingHeader): void {
    writeTrailers(header, this.#checkedTrailers());
  }

  #checkedTrailers(): Metadata | undefined {
    const { sentTrailers } = this.call;
    if (sentTrailers !== undefined) encodeMetadata(sentTrailers, this.request.method);
    return sentTrailers;
  }

  #withMetadata(header: OutgoingHeader): OutgoingHeader {
    header.set(headerName.server, ourServer);
    for (const [name, value] of this.request.marks) header.set(name, value);
    if (this.#metadataSent) return header;
    this.#metadataSent = true;
    const { sentMetadata } = this.call;
    if (sentMetadata !== undefined) encodeMetadata(sentMetadata, this.request.method);
    writeMetadata(header, sentMetadata);
    return header;
  }
}

/** The call as its handler sees it. */
class GoMicroServerCall extends ServerCall {
  readonly #incoming: IncomingCall;

  constructor(incoming: IncomingCall) {
    const { method, peer, metadata, deadline } = incoming.request;
    super(method, peer, metadata, deadline);
    this.#incoming = incoming;
  }

  override refuse(error: MicroError): void {
    this.#incoming.cancel(error);
  }
}
