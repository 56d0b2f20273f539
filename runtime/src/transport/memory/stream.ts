import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import type { Deadline } from "../../base/deadline.ts";
import { asMicroError, type MicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import type { Identity } from "../../call/account.ts";
import { deadlineExceeded, type ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import {
  callEnded,
  callerGone,
  cancelledBy,
  connectionLost,
  responseError,
  undecodableResponse,
} from "../call-errors.ts";
import { decodeRequest, encodeRequest, encodeResponse } from "../message-bytes.ts";
import type { AdmissionReceiver } from "../pending-admissions.ts";
import { messageOverheadBytes, ReceiveQueue } from "../streams/receive-queue.ts";
import { SendPump } from "../streams/send-pump.ts";
import type { OutgoingCall } from "../transport.ts";
import { acceptCall, admitCaller, copyMetadata, deliverMetadata } from "./accept-call.ts";
import type { MemoryCall, MemoryCalls } from "./link.ts";

/**
 * A streaming call inside one process: a receive queue at either end, and a pump that fills each.
 */
export class MemoryStreamCall<O> implements MemoryCall, AdmissionReceiver {
  readonly deadline: Deadline;
  place = -1;
  /** The responses that the caller iterates. */
  readonly responses: ReceiveQueue<O>;
  readonly #channel: MemoryCalls;
  readonly #method: AnyMethod;
  readonly #outgoing: OutgoingCall;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  readonly #requests: ReceiveQueue<unknown>;
  readonly #requestPump: SendPump<unknown>;
  readonly #responsePump: SendPump<unknown>;
  #metadata: Metadata | undefined;
  #call: ServerCall | undefined;
  /** Called if the call ends before its caller is verified. */
  #stopWaiting: (() => void) | undefined = undefined;
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
    this.#requestPump = new SendPump(
      {
        blocked: never,
        send: (message) => this.#sendRequest(message),
        finished: () => this.#requests.end(),
        failed: (reason) => this.cancel(asMicroError(reason)),
      },
      limits.streamWindowBytes,
    );
    this.#responsePump = new SendPump(
      {
        blocked: never,
        send: (message) => this.#sendResponse(message),
        finished: () => this.#end(undefined),
        failed: (reason) => this.#end(responseError(reason, method.name)),
      },
      responseWindowBytes,
    );
    this.#requests = new ReceiveQueue({
      opened: nothing,
      consumed: granting(this.#requestPump, limits.streamWindowBytes),
      dropped: nothing,
      // A handler that stops reading does not end its call; the caller only stops sending.
      abandoned: nothing,
    });
    this.responses = new ReceiveQueue<O>({
      opened: () => this.#begin(),
      consumed: granting(this.#responsePump, responseWindowBytes),
      dropped: nothing,
      abandoned: () =>
        this.cancel(cancelledBy("the reader left", this.#method.name, this.#outcome)),
    });
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
      this.#end(responseError(reason, this.#method.name));
    }
  }

  admitted(identity: Identity | undefined): void {
    try {
      const call = acceptCall(this, this.#channel, this.#method, this.#metadata, true, identity);
      this.#call = call;
      this.#responsePump.start(this.#channel.link.dispatcher.stream(call, this.#requests));
      this.#requestPump.start(this.#source);
    } catch (reason) {
      this.#end(responseError(reason, this.#method.name));
    }
  }

  refused(error: MicroError): void {
    this.#end(error);
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

  refuse(error: MicroError): void {
    if (!this.#close()) return;
    this.responses.end(error);
    this.#cancelHandler(error);
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
      this.#end(responseError(reason, this.#method.name));
    }
    return cost;
  }

  #sendResponse(init: unknown): number {
    const { dispatcher, limits } = this.#channel.link;
    const call = this.#call!;
    this.#outgoing.responseMetadata ??= copyMetadata(call.sentMetadata, call.method);
    const bytes = encodeResponse(dispatcher, call, init, limits.maxMessageBytes);
    const cost = bytes.length + messageOverheadBytes;
    try {
      this.responses.push(this.#method.output.decode(bytes) as O, cost);
    } catch (reason) {
      this.cancel(undecodableResponse(reason, this.#method.name));
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

  /** Returns false if the call had already ended. */
  #close(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#stopWaiting?.();
    this.#requestPump.stop();
    this.#responsePump.stop();
    if (this.#outgoing.signal !== undefined) unwatchAbort(this.#outgoing.signal, this);
    this.#channel.remove(this);
    return true;
  }
}

/** In memory, only the reader can block. */
function never(): boolean {
  return false;
}

function nothing(): void {}

/**
 * Returns credit for read messages to the pump, in steps of half the window, and outside the
 * reader's turn. Otherwise two sides that keep each other busy would never let a timer fire.
 */
function granting(pump: SendPump<unknown>, windowBytes: number): (cost: number) => void {
  let owed = 0;
  return (cost) => {
    owed += cost;
    if (owed * 2 < windowBytes) return;
    const granted = owed;
    owed = 0;
    setImmediate(() => pump.grant(granted));
  };
}
