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
import { handOver, unfit } from "./memory-hand-over.ts";
import type { MemoryCall, MemoryCalls } from "./memory-link.ts";
import {
  acceptCall,
  copyMetadata,
  decodeRequest,
  deliverMetadata,
  encodeAnswer,
  encodeRequest,
} from "./memory-message.ts";
import type { OutgoingCall, UnaryReceiver } from "./transport.ts";

/** A unary call inside one process. The dispatcher brings the answer to it, and it to the caller. */
export class MemoryUnaryCall<O> implements MemoryCall, UnaryReceiver {
  readonly deadline: Deadline;
  place = -1;
  readonly #channel: MemoryCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #receiver: UnaryReceiver<O>;
  /** The handler's request, or its bytes where it could not be handed over at once. */
  #request: unknown;
  #bytes: Uint8Array | undefined;
  #metadata: Metadata | undefined;
  #call: ServerCall | undefined;
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

  /** Opens the call, or fails it at once. The request and the metadata are taken as they are now. */
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
    const { dispatcher } = this.#channel.link;
    try {
      const call = acceptCall(this.#channel, this.#method, this.#metadata, this.deadline, false);
      const request =
        this.#bytes === undefined
          ? this.#request
          : decodeRequest(call.method, this.#bytes, "not-executed");
      this.#request = undefined;
      this.#bytes = undefined;
      this.#call = call;
      if (dispatcher.startUnary !== undefined) {
        dispatcher.startUnary(call, request, this);
        return;
      }
      const answer = dispatcher.unary(call, request);
      if (answer instanceof Promise) {
        answer.then(
          (value) => this.answered(value),
          (reason) => this.failed(reason),
        );
      } else {
        this.answered(answer);
      }
    } catch (reason) {
      this.failed(reason);
    }
  }

  answered(init: unknown): void {
    if (this.#ended) return;
    let answer: O;
    try {
      answer = this.#answerOf(init) as O;
    } catch (reason) {
      this.failed(reason);
      return;
    }
    const unsent = this.#end();
    if (unsent === undefined) this.#receiver.answered(answer);
    else this.#receiver.failed(unsent);
  }

  failed(reason: unknown): void {
    if (this.#ended) return;
    const error = answerError(reason, this.#method.name);
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

  get #outcome(): "unknown" | "not-executed" {
    return this.#call === undefined ? "not-executed" : "unknown";
  }

  #take(request: unknown): void {
    const { link } = this.#channel;
    const method = this.#method;
    const limit = link.limits.maxMessageBytes;
    const served = link.dispatcher.method(method.name);
    if (served?.input.contentType === method.input.contentType) {
      this.#request = handOver(method.input, served.input, request, limit);
      if (this.#request !== unfit) return;
    }
    this.#bytes = encodeRequest(method, request, limit, "not-executed");
  }

  /** The caller's own answer; throws what he is told where there is none. */
  #answerOf(init: unknown): unknown {
    const call = this.#call!;
    const { limits, dispatcher } = this.#channel.link;
    const { output } = this.#method;
    const answer = handOver(call.method.output, output, init, limits.maxMessageBytes);
    if (answer !== unfit) return answer;
    const bytes = encodeAnswer(dispatcher, call, init, limits.maxMessageBytes);
    try {
      return output.decode(bytes);
    } catch (reason) {
      throw undecodableAnswer(reason, this.#method.name);
    }
  }

  /** The answer is there, with what goes along with it. */
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
    if (this.#outgoing.signal !== undefined) unwatchAbort(this.#outgoing.signal, this);
    this.#channel.remove(this);
  }
}
