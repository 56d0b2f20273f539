import { unwatchAbort, watchAbort } from "../abort-watch.ts";
import { deadlineExceeded, type ServerCall } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import { asMicroError, type MicroError } from "../error.ts";
import type { Metadata } from "../metadata.ts";
import type { AnyMethod } from "../method.ts";
import {
  answerError,
  callEnded,
  callerGone,
  cancelledBy,
  connectionLost,
  undecodableAnswer,
} from "./call-errors.ts";
import { Inbox, messageOverheadBytes } from "./inbox.ts";
import type { MemoryCall, MemoryCalls } from "./memory-link.ts";
import {
  acceptCall,
  copyMetadata,
  decodeRequest,
  deliverMetadata,
  encodeAnswer,
  encodeRequest,
} from "./memory-message.ts";
import { Pump } from "./pump.ts";
import type { OutgoingCall } from "./transport.ts";

/** A call of a streaming kind inside one process: an inbox at either end, and a pump that fills each. */
export class MemoryStreamCall<O> implements MemoryCall {
  readonly deadline: Deadline;
  place = -1;
  /** What the caller iterates. */
  readonly responses: Inbox<O>;
  readonly #channel: MemoryCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  readonly #requests: Inbox<unknown>;
  readonly #requestPump: Pump<unknown>;
  readonly #responsePump: Pump<unknown>;
  #metadata: Metadata | undefined;
  #call: ServerCall | undefined;
  #ended = false;

  constructor(
    channel: MemoryCalls,
    method: AnyMethod,
    source: AsyncIterable<unknown> | Iterable<unknown>,
    outgoing: OutgoingCall,
  ) {
    const { limits, responseWindowBytes } = channel.link;
    this.#channel = channel;
    this.#method = method;
    this.#source = source;
    this.#outgoing = outgoing;
    this.deadline = outgoing.deadline;
    this.#requestPump = new Pump(
      {
        blocked: never,
        send: (message) => this.#sendRequest(message),
        finished: () => this.#requests.end(),
        failed: (reason) => this.cancel(asMicroError(reason)),
      },
      limits.streamWindowBytes,
    );
    this.#responsePump = new Pump(
      {
        blocked: never,
        send: (message) => this.#sendResponse(message),
        finished: () => this.#end(undefined),
        failed: (reason) => this.#end(answerError(reason, method.name)),
      },
      responseWindowBytes,
    );
    this.#requests = new Inbox({
      opened: nothing,
      consumed: granting(this.#requestPump, limits.streamWindowBytes),
      dropped: nothing,
      // A handler that reads no further does not end its call; the caller just sends no further.
      abandoned: nothing,
    });
    this.responses = new Inbox<O>({
      opened: () => this.#begin(),
      consumed: granting(this.#responsePump, responseWindowBytes),
      dropped: nothing,
      abandoned: () =>
        this.cancel(cancelledBy("the reader left", this.#method.name, this.#outcome)),
    });
  }

  run(): void {
    if (this.#ended) return;
    try {
      this.#call = acceptCall(this.#channel, this.#method, this.#metadata, this.deadline, true);
      this.#responsePump.start(this.#channel.link.dispatcher.stream(this.#call, this.#requests));
      this.#requestPump.start(this.#source);
    } catch (reason) {
      this.#end(answerError(reason, this.#method.name));
    }
  }

  aborted(reason: unknown): void {
    this.cancel(cancelledBy(reason, this.#method.name, this.#outcome));
  }

  expire(): void {
    const error = deadlineExceeded(this.#method.name, this.#outcome);
    if (!this.#close()) return;
    this.responses.abort(error);
    this.#cancelHandler(error);
  }

  cancel(error: MicroError): void {
    if (!this.#close()) return;
    this.responses.abort(error);
    this.#cancelHandler(callerGone(this.#method.name));
  }

  cut(reason: MicroError): void {
    if (!this.#close()) return;
    this.responses.end(connectionLost(this.#method.name, reason, this.#outcome));
    this.#cancelHandler(callerGone(this.#method.name));
  }

  get #outcome(): "unknown" | "not-executed" {
    return this.#call === undefined ? "not-executed" : "unknown";
  }

  #begin(): void {
    if (this.#ended) return;
    const outgoing = this.#outgoing;
    const refused = this.#channel.refusal(this.#method.name, outgoing);
    if (refused !== undefined) {
      this.#ended = true;
      this.responses.end(refused);
      return;
    }
    try {
      this.#metadata = copyMetadata(outgoing.metadata);
    } catch (error) {
      this.#ended = true;
      this.responses.end(error as MicroError);
      return;
    }
    if (outgoing.signal !== undefined) watchAbort(outgoing.signal, this);
    this.#channel.begin(this);
  }

  #sendRequest(init: unknown): number {
    const limit = this.#channel.link.limits.maxMessageBytes;
    const bytes = encodeRequest(this.#method, init, limit, "unknown");
    const cost = bytes.length + messageOverheadBytes;
    try {
      this.#requests.push(decodeRequest(this.#call!.method, bytes, "unknown"), cost);
    } catch (reason) {
      this.#end(answerError(reason, this.#method.name));
    }
    return cost;
  }

  #sendResponse(init: unknown): number {
    const { dispatcher, limits } = this.#channel.link;
    const call = this.#call!;
    this.#outgoing.responseMetadata ??= copyMetadata(call.sentMetadata, call.method);
    const bytes = encodeAnswer(dispatcher, call, init, limits.maxMessageBytes);
    const cost = bytes.length + messageOverheadBytes;
    try {
      this.responses.push(this.#method.output.decode(bytes) as O, cost);
    } catch (reason) {
      this.cancel(undecodableAnswer(reason, this.#method.name));
    }
    return cost;
  }

  /** The handler has ended, or the call was refused. */
  #end(error: MicroError | undefined): void {
    if (!this.#close()) return;
    const unsent = deliverMetadata(this.#call, this.#outgoing);
    this.responses.end(error ?? unsent);
    this.#requests.abort(() => callEnded(this.#method.name));
  }

  #cancelHandler(reason: MicroError): void {
    this.#call?.cancel(reason);
    this.#requests.abort(reason);
  }

  /** False when the call was over already. */
  #close(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#requestPump.stop();
    this.#responsePump.stop();
    if (this.#outgoing.signal !== undefined) unwatchAbort(this.#outgoing.signal, this);
    this.#channel.remove(this);
    return true;
  }
}

/** In memory nothing ever blocks but the reader. */
function never(): boolean {
  return false;
}

function nothing(): void {}

/**
 * Grants what was read back to the pump, half a window at a time, and not in the reader's own turn: two
 * sides that keep each other busy would otherwise never let a timer fire.
 */
function granting(pump: Pump<unknown>, windowBytes: number): (cost: number) => void {
  let owed = 0;
  return (cost) => {
    owed += cost;
    if (owed * 2 < windowBytes) return;
    const granted = owed;
    owed = 0;
    setImmediate(() => pump.grant(granted));
  };
}
