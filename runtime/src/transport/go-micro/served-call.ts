import { deadlineExceeded, type Peer, ServerCall } from "../../call.ts";
import type { AnyCodec } from "../../codec/codec.ts";
import type { Deadline } from "../../deadline.ts";
import type { MicroError } from "../../error.ts";
import type { Metadata } from "../../metadata.ts";
import type { AnyMethod } from "../../method.ts";
import {
  answerError,
  callerGone,
  codecError,
  encodeMetadata,
  invalidAnswer,
  messageTooLarge,
} from "../call-errors.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import type { BodyForm, OpenedBody } from "./body-form.ts";
import { errorText, writeError } from "./error-text.ts";
import { headerName, type OutgoingHeader, ourServer } from "./message.ts";
import { writeMetadata, writeTrailers } from "./metadata-lines.ts";

/** Where calls come in. */
export interface ServedCalls {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  begin(call: ServedCall): void;
  ended(call: ServedCall): void;
}

/** What a request says of the call that it begins. */
export interface ServedRequest {
  readonly method: AnyMethod;
  readonly form: BodyForm;
  readonly contentType: string;
  readonly opened: OpenedBody;
  readonly peer: Peer;
  readonly metadata: Metadata;
  readonly deadline: Deadline;
  /** Lines that every message of the answer says back. */
  readonly marks: OutgoingHeader;
}

/** Time by which the deadline of a call is later here than where it was made, in milliseconds. */
const soonMs = 20;

/** What both kinds of call have in common: how messages are read and written, and how a call ends. */
export abstract class ServedCall {
  readonly call: ServerCall;
  protected readonly calls: ServedCalls;
  protected readonly request: ServedRequest;
  readonly #input: AnyCodec;
  readonly #output: AnyCodec;
  #metadataSent = false;
  #over = false;

  /** @throws MicroError `unimplemented` where the form needs a descriptor and the method has none. */
  constructor(calls: ServedCalls, request: ServedRequest) {
    const { method, form } = request;
    this.calls = calls;
    this.request = request;
    this.#input = form.codec(method.input);
    this.#output = form.codec(method.output);
    this.call = new ServerCall(method, request.peer, request.metadata, request.deadline);
  }

  /** Whether the caller has its answer, or is gone. */
  get over(): boolean {
    return this.#over;
  }

  /** Gives the call to the dispatcher. */
  abstract run(): void;

  /** The handler is told that nobody waits any more, and the caller why, if it is there. */
  cancel(error: MicroError): void {
    if (this.#over) return;
    this.call.cancel(error);
    this.answerWithError(error);
  }

  /** The connection is gone. */
  leave(): void {
    const { name } = this.request.method;
    // A caller whose deadline passes a moment before it does here closes the connection.
    this.cancel(this.call.remainingMs() <= soonMs ? deadlineExceeded(name) : callerGone(name));
  }

  /** The deadline has passed. */
  expire(): void {
    this.cancel(deadlineExceeded(this.request.method.name));
  }

  /** Sends a message of the answer; unless the call is over. */
  protected abstract deliver(header: OutgoingHeader, body: Uint8Array): void;

  /** The link has nothing to do with the call any more. */
  protected abstract release(): void;

  protected decode(message: Uint8Array): unknown {
    try {
      return this.#input.decode(message);
    } catch (reason) {
      throw codecError(reason, "not-executed");
    }
  }

  /** Sends what the handler gave. @throws MicroError when that is no message, or over a limit. */
  protected sendMessage(init: unknown, header: OutgoingHeader): number {
    const { form, contentType, opened, method } = this.request;
    const { dispatcher, limits } = this.calls;
    let message: Uint8Array;
    try {
      message = this.#output.encode(init);
    } catch (reason) {
      throw dispatcher.invalidAnswer?.(this.call, reason) ?? invalidAnswer(method, reason);
    }
    if (message.length > limits.maxMessageBytes) {
      throw messageTooLarge(
        `the answer of ${method.name}`,
        message.length,
        limits.maxMessageBytes,
        "executed",
      );
    }
    const body = form.answer(message, opened);
    if (body.length > 0) header.set(headerName.contentType, contentType);
    this.deliver(this.#withMetadata(header), body);
    return body.length;
  }

  /** Sends the last message, without a body. */
  protected sendEnd(header: OutgoingHeader): void {
    writeTrailers(header, this.#checkedTrailers());
    this.deliver(this.#withMetadata(header), new Uint8Array(0));
  }

  protected answerWithError(reason: unknown): void {
    if (this.#over) return;
    const { method, form, opened, contentType } = this.request;
    const error = answerError(reason, method.name);
    const header: OutgoingHeader = new Map();
    writeError(header, error, method.service);
    const body = form.error(errorText(error, method.service), opened);
    if (body.length > 0) header.set(headerName.contentType, contentType);
    try {
      writeTrailers(header, this.#checkedTrailers());
      this.#withMetadata(header);
    } catch {
      // Metadata that cannot be sent must not keep the caller from its error.
    }
    this.deliver(header, body);
    this.finish();
  }

  /** The caller has all that it will get. */
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
