import { unwatchAbort, watchAbort } from "../abort-watch.ts";
import { deadlineExceeded, type ServerCall } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import type { Metadata } from "../metadata.ts";
import type { AnyMethod } from "../method.ts";
import {
  answerError,
  callerGone,
  cancelledBy,
  connectionLost,
  undecodableAnswer,
} from "./call-errors.ts";
import type { MemoryCall, MemoryCalls } from "./memory-link.ts";
import {
  acceptCall,
  copyMetadata,
  decodeRequest,
  deliverMetadata,
  encodeAnswer,
  encodeRequest,
} from "./memory-message.ts";
import type { OutgoingCall } from "./transport.ts";

/** A unary call inside one process. */
export class MemoryUnaryCall<O> implements MemoryCall {
  readonly deadline: Deadline;
  readonly #channel: MemoryCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #resolve: (answer: O) => void;
  readonly #reject: (error: MicroError) => void;
  readonly #init: unknown;
  #request: Uint8Array | undefined;
  #metadata: Metadata | undefined;
  #call: ServerCall | undefined;
  #ended = false;

  constructor(
    channel: MemoryCalls,
    method: AnyMethod,
    request: unknown,
    outgoing: OutgoingCall,
    resolve: (answer: O) => void,
    reject: (error: MicroError) => void,
  ) {
    this.#channel = channel;
    this.#method = method;
    this.#init = request;
    this.#outgoing = outgoing;
    this.deadline = outgoing.deadline;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Opens the call, or fails it at once. The request and the metadata are taken as they are now. */
  begin(): void {
    const channel = this.#channel;
    const outgoing = this.#outgoing;
    const refused = channel.refusal(this.#method.name, outgoing);
    if (refused !== undefined) {
      this.#reject(refused);
      return;
    }
    try {
      const limit = channel.link.limits.maxMessageBytes;
      this.#request = encodeRequest(this.#method, this.#init, limit, "not-executed");
      this.#metadata = copyMetadata(outgoing.metadata);
    } catch (error) {
      this.#reject(error as MicroError);
      return;
    }
    if (outgoing.signal !== undefined) watchAbort(outgoing.signal, this);
    channel.begin(this);
  }

  run(): void {
    if (this.#ended) return;
    const { dispatcher } = this.#channel.link;
    try {
      const call = acceptCall(this.#channel, this.#method, this.#metadata, this.deadline, false);
      const request = decodeRequest(call.method, this.#request!, "not-executed");
      this.#request = undefined;
      this.#call = call;
      const answer = dispatcher.unary(call, request);
      if (answer instanceof Promise) {
        answer.then(
          (value) => this.#answer(value),
          (reason) => this.#fail(reason),
        );
      } else {
        this.#answer(answer);
      }
    } catch (reason) {
      this.#fail(reason);
    }
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

  get #outcome(): "unknown" | "not-executed" {
    return this.#call === undefined ? "not-executed" : "unknown";
  }

  #answer(init: unknown): void {
    if (this.#ended) return;
    const call = this.#call!;
    const { limits, dispatcher } = this.#channel.link;
    let bytes: Uint8Array;
    try {
      bytes = encodeAnswer(dispatcher, call, init, limits.maxMessageBytes);
    } catch (reason) {
      this.#fail(reason);
      return;
    }
    let answer: O;
    try {
      answer = this.#method.output.decode(bytes) as O;
    } catch (reason) {
      this.#fail(undecodableAnswer(reason, this.#method.name));
      return;
    }
    const unsent = this.#end();
    if (unsent === undefined) this.#resolve(answer);
    else this.#reject(unsent);
  }

  #fail(reason: unknown): void {
    if (this.#ended) return;
    const error = answerError(reason, this.#method.name);
    this.#end();
    this.#reject(error);
  }

  /** The answer is there, with what goes along with it. */
  #end(): MicroError | undefined {
    this.#close();
    return deliverMetadata(this.#call, this.#outgoing);
  }

  #give(error: MicroError, reason: MicroError): void {
    if (this.#ended) return;
    this.#close();
    this.#reject(error);
    this.#call?.cancel(reason);
  }

  #close(): void {
    this.#ended = true;
    if (this.#outgoing.signal !== undefined) unwatchAbort(this.#outgoing.signal, this);
    this.#channel.remove(this);
  }
}
