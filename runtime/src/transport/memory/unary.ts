import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import type { Identity } from "../../call/account.ts";
import { deadlineExceeded, type ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import {
  callerGone,
  cancelledBy,
  connectionLost,
  responseError,
  undecodableResponse,
} from "../call-errors.ts";
import { decodeRequest, encodeRequest, encodeResponse } from "../message-bytes.ts";
import type { AdmissionReceiver } from "../pending-admissions.ts";
import { runUnary } from "../run-unary.ts";
import type { OutgoingCall, UnaryReceiver } from "../transport.ts";
import { acceptCall, admitCaller, copyMetadata, deliverMetadata } from "./accept-call.ts";
import type { MemoryCall, MemoryCalls } from "./link.ts";
import { notShareable, passByReference } from "./pass-by-reference.ts";

/**
 * A unary call inside one process. It receives the dispatcher's response and passes it to the
 * caller.
 */
export class MemoryUnaryCall<O> implements MemoryCall, UnaryReceiver, AdmissionReceiver {
  readonly deadline: Deadline;
  place = -1;
  readonly #channel: MemoryCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #receiver: UnaryReceiver<O>;
  /** The handler's request, or its bytes if it could not be passed directly. */
  #request: unknown;
  #bytes: Uint8Array | undefined;
  #metadata: Metadata | undefined;
  #call: ServerCall | undefined;
  /** Called if the call ends before its caller is verified. */
  #stopWaiting: (() => void) | undefined = undefined;
  #ended = false;

  constructor(
    channel: MemoryCalls,
    method: AnyMethod,
    outgoing: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ) {
    this.#channel = channel;
    this.#method = method;
    this.#outgoing = outgoing;
    this.deadline = outgoing.deadline;
    this.#receiver = receiver;
  }

  /**
   * Opens the call, or fails it at once. The request and the metadata are copied before it returns.
   */
  begin(request: unknown): void {
    const channel = this.#channel;
    const outgoing = this.#outgoing;
    const refused = channel.refusal(this.#method.name, outgoing);
    if (refused !== undefined) {
      this.#receiver.failed(refused);
      return;
    }
    try {
      this.#take(request);
      this.#metadata = copyMetadata(outgoing.metadata);
    } catch (error) {
      this.#receiver.failed(error);
      return;
    }
    if (outgoing.signal !== undefined) watchAbort(outgoing.signal, this);
    channel.begin(this);
  }

  run(): void {
    if (this.#ended) return;
    const { access } = this.#channel.link.dispatcher;
    if (access === undefined) {
      this.admitted(undefined);
      return;
    }
    try {
      const identity = admitCaller(this.#channel, this.#method, this.#metadata, access);
      if (identity instanceof Promise) {
        this.#stopWaiting = this.#channel.pending.wait(identity, this);
      } else this.admitted(identity);
    } catch (reason) {
      this.failed(reason);
    }
  }

  admitted(identity: Identity | undefined): void {
    const { dispatcher } = this.#channel.link;
    try {
      const call = acceptCall(this, this.#channel, this.#method, this.#metadata, false, identity);
      const request =
        this.#bytes === undefined
          ? this.#request
          : decodeRequest(call.method, this.#bytes, "not-executed");
      this.#request = undefined;
      this.#bytes = undefined;
      this.#call = call;
      runUnary(dispatcher, call, request, this);
    } catch (reason) {
      this.failed(reason);
    }
  }

  refused(error: MicroError): void {
    this.failed(error);
  }

  responded(init: unknown): void {
    if (this.#ended) return;
    let response: O;
    try {
      response = this.#copyForCaller(init) as O;
    } catch (reason) {
      this.failed(reason);
      return;
    }
    const unsent = this.#end();
    if (unsent === undefined) this.#receiver.responded(response);
    else this.#receiver.failed(unsent);
  }

  failed(reason: unknown): void {
    if (this.#ended) return;
    const error = responseError(reason, this.#method.name);
    this.#end();
    this.#receiver.failed(error);
  }

  aborted(reason: unknown): void {
    this.cancel(cancelledBy(reason, this.#method.name, this.#outcome));
  }

  expire(): void {
    const error = deadlineExceeded(this.#method.name, this.#outcome);
    this.#give(error, error);
  }

  cancel(error: MicroError): void {
    this.#give(error, callerGone(this.#method.name));
  }

  cut(reason: MicroError): void {
    this.cancel(connectionLost(this.#method.name, reason, this.#outcome));
  }

  refuse(error: MicroError): void {
    this.#give(error, error);
  }

  get #outcome(): "unknown" | "not-executed" {
    return this.#call === undefined ? "not-executed" : "unknown";
  }

  #take(request: unknown): void {
    const { link } = this.#channel;
    const method = this.#method;
    const limit = link.limits.maxMessageBytes;
    const served = link.dispatcher.method(method.name);
    if (served?.input.contentType === method.input.contentType) {
      this.#request = passByReference(method.input, served.input, request, limit);
      if (this.#request !== notShareable) return;
    }
    this.#bytes = encodeRequest(method, request, limit, "not-executed");
  }

  /**
   * Returns the caller's copy of the response. Throws the error for the caller if the response is
   * invalid.
   */
  #copyForCaller(init: unknown): unknown {
    const call = this.#call!;
    const { limits, dispatcher } = this.#channel.link;
    const { output } = this.#method;
    const response = passByReference(call.method.output, output, init, limits.maxMessageBytes);
    if (response !== notShareable) return response;
    const bytes = encodeResponse(dispatcher, call, init, limits.maxMessageBytes);
    try {
      return output.decode(bytes);
    } catch (reason) {
      throw undecodableResponse(reason, this.#method.name);
    }
  }

  /** Delivers the metadata and trailers of a completed call. */
  #end(): MicroError | undefined {
    this.#close();
    return deliverMetadata(this.#call, this.#outgoing);
  }

  #give(error: MicroError, reason: MicroError): void {
    if (this.#ended) return;
    this.#close();
    this.#receiver.failed(error);
    this.#call?.cancel(reason);
  }

  #close(): void {
    this.#ended = true;
    this.#stopWaiting?.();
    if (this.#outgoing.signal !== undefined) unwatchAbort(this.#outgoing.signal, this);
    this.#channel.remove(this);
  }
}
