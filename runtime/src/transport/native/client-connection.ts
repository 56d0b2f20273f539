import type { Socket } from "node:net";
import { watchAbort } from "../../base/abort-watch.ts";
import { type Deadline, DeadlineSweep, turnNow } from "../../base/deadline.ts";
import { codeToNumber, MicroError, type Outcome } from "../../base/error.ts";
import { Metadata } from "../../base/metadata.ts";
import type { AnyMethod, Method } from "../../call/method.ts";
import {
  callRefusal,
  channelNotOpen,
  codecError,
  messageTooLarge,
  tooManyCalls,
} from "../call-errors.ts";
import { DecodedAhead } from "../streams/receive-queue.ts";
import type {
  Channel,
  ChannelState,
  OutgoingCall,
  TransportLimits,
  UnaryReceiver,
} from "../transport.ts";
import { CallTable } from "./call-table.ts";
import { Connection } from "./connection.ts";
import { readStatus } from "./error-status.ts";
import type { OutgoingCalls, PendingCall } from "./outgoing-call.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { OutgoingUnary } from "./outgoing-unary.ts";
import { blockEnd, checkCredit, readMetadata, view } from "./payload.ts";
import { flag, frameType, maxMethodNameBytes, maxMethods } from "./protocol.ts";
import { encodedMetadata, SentCredentials } from "./sent-credentials.ts";

const longestRemainingMs = 0xffff_ffff;
const lastCallId = 0x7fff_ffff;
const deadlineNumber = codeToNumber("deadline_exceeded");
const canceledNumber = codeToNumber("canceled");

/** The client's end of a connection: the channel for outgoing calls. */
export class ClientConnection extends Connection implements Channel, OutgoingCalls {
  readonly address: string;
  readonly remote: string;
  readonly closed: Promise<MicroError | undefined>;
  /** Resolves when the server has sent HELLO; rejects if the connection ends before. */
  readonly ready: Promise<void>;
  readonly decodedAhead: DecodedAhead = new DecodedAhead();
  readonly #calls = new CallTable<PendingCall>();
  readonly #sweep: DeadlineSweep;
  readonly #numbers = new WeakMap<AnyMethod, number>();
  readonly #numbersByName = new Map<string, number>();
  readonly carriesCredentials = true;
  readonly #credentials = new SentCredentials(this);
  /** The method of the last call, which is usually the method of the next call too. */
  #lastMethod: AnyMethod | undefined;
  #lastNumber = 0;
  #lastCall = 0;
  #state: ChannelState = "open";
  /** The server accepts no further calls, and `close` was not called here. */
  #drained = false;
  #closedHere = false;
  #settleClosed: (reason: MicroError | undefined) => void = () => undefined;
  #settleReady: (reason: MicroError | undefined) => void = () => undefined;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(socket: Socket, address: string, limits: TransportLimits) {
    super(socket, limits, false);
    this.address = address;
    this.remote = address;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (reason) => (reason === undefined ? resolve() : reject(reason));
    });
    this.#sweep = new DeadlineSweep((now) => this.#expire(now));
  }

  get state(): ChannelState {
    return this.#state;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    outgoing: OutgoingCall,
  ): Promise<O> {
    return new Promise((responded, failed) =>
      this.startUnary(method, request, outgoing, { responded, failed }),
    );
  }

  startUnary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    outgoing: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ): void {
    const epoch = this.writer.flushes;
    let id: number;
    try {
      id = this.beginCall(method, outgoing, flag.message | flag.end);
      this.writeMessage(method, request, "not-executed");
    } catch (error) {
      receiver.failed(error);
      return;
    }
    const call = new OutgoingUnary<O>(this, id, epoch, method, outgoing, receiver);
    this.add(call);
    if (outgoing.signal !== undefined) watchAbort(outgoing.signal, call);
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    outgoing: OutgoingCall,
  ): AsyncIterable<O> {
    return new OutgoingStream<O>(this, method, requests, outgoing).responses;
  }

  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  beginCall(method: AnyMethod, outgoing: OutgoingCall, flags: number): number {
    if (this.#state !== "open") throw channelNotOpen(this.address, this.#state);
    const limit = Math.min(this.limits.maxConcurrentCalls, this.peerSettings.maxConcurrentCalls);
    if (this.#calls.size >= limit) throw tooManyCalls(this.address, limit);
    const refusal = callRefusal(method.name, outgoing);
    if (refusal !== undefined) throw refusal;
    const { credential } = outgoing;
    const proof = credential === undefined ? 0 : this.#credentials.numberOf(credential);
    const metadata = encodedMetadata(outgoing.metadata, proof === 0 ? credential : undefined);
    const number = method === this.#lastMethod ? this.#lastNumber : this.#numberOf(method);
    const id = this.#nextCall();
    this.writer.open(
      frameType.call,
      flags | (metadata === undefined ? 0 : flag.metadata) | (proof === 0 ? 0 : flag.credential),
      number,
      id,
      remainingField(outgoing.deadline),
    );
    if (proof !== 0) this.writer.uint16(proof);
    if (metadata !== undefined) this.writer.block(metadata);
    return id;
  }

  writeMessage(method: AnyMethod, message: unknown, outcome: Outcome): number {
    const { writer } = this;
    const limit = Math.min(this.limits.maxMessageBytes, this.peerSettings.maxMessageBytes);
    let length: number;
    try {
      length = writer.messageAndClose(method.input, message, limit);
    } catch (reason) {
      writer.abandon();
      throw codecError(reason, outcome);
    }
    if (length <= limit) return length;
    writer.abandon();
    throw messageTooLarge(`a request of ${method.name}`, length, limit, outcome);
  }

  writeCancel(id: number, error: MicroError): void {
    if (this.ended) return;
    const code = error.code === "deadline_exceeded" ? deadlineNumber : canceledNumber;
    this.writer.bare(frameType.cancel, 0, id, code);
  }

  hasLeft(epoch: number): boolean {
    return this.writer.flushes !== epoch;
  }

  add(call: PendingCall): void {
    this.#calls.add(call);
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#sweep.watch(call.deadline);
  }

  remove(call: PendingCall): void {
    if (!this.#calls.delete(call) || this.#calls.size > 0) return;
    this.#idle?.();
    if (this.#drained) this.#endDrain();
  }

  tooMuchUnread(method: string): MicroError {
    return new MicroError(
      "resource_exhausted",
      `${method} was ended because the channel to ${this.address} has ${this.maxUnreadBytes} bytes of unread stream messages`,
    );
  }

  protected handshaken(): void {
    this.#settleReady(undefined);
  }

  protected wentAway(): void {
    this.retire();
  }

  /** Begins no further calls, and closes when the last one has ended. */
  retire(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#drained = true;
    if (this.#calls.size === 0) this.#endDrain();
  }

  protected handleFrame(
    type: number,
    flags: number,
    field: number,
    id: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const call = this.#calls.get(id);
    switch (type) {
      case frameType.result:
        if (call !== undefined) this.#result(call, flags, field, aux, bytes, start, end);
        break;
      case frameType.message:
        call?.received(bytes, start, end);
        break;
      case frameType.headers:
        if (call !== undefined)
          call.outgoing.responseMetadata = Metadata.decode(view(bytes, start, end));
        break;
      case frameType.credit:
        checkCredit(aux);
        call?.granted(aux);
        break;
      default:
        throw new MicroError("invalid_argument", `received frame type ${type} from a server`);
    }
  }

  /**
   * Such a frame ends the connection. Its own call fails permanently: another attempt would get the
   * same response.
   */
  oversized(type: number, id: number, bytes: number): void {
    if (type !== frameType.result && type !== frameType.message) return;
    const call = this.#calls.get(id);
    call?.refused(this.#tooLarge(call, bytes));
  }

  protected connectionEnded(reason: MicroError): void {
    this.#state = "closed";
    this.#sweep.close();
    for (const call of this.#calls.values()) call.lost(reason);
    this.#settleReady(reason);
    this.#settleClosed(this.#closedHere ? undefined : reason);
    this.#idle?.();
  }

  #result(
    call: PendingCall,
    flags: number,
    field: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    let at = start;
    if ((flags & flag.metadata) !== 0) {
      at = blockEnd(bytes, start, end);
      call.outgoing.responseMetadata = readMetadata(bytes, start, at);
    }
    if ((flags & flag.trailers) !== 0) {
      const from = at;
      at = blockEnd(bytes, from, end);
      call.outgoing.trailers = readMetadata(bytes, from, at);
    }
    if ((flags & flag.error) !== 0) call.refused(readStatus(field, aux, bytes, at, end));
    else if ((flags & flag.message) === 0) call.succeeded(undefined, 0, 0);
    else if (end - at > this.limits.maxMessageBytes) call.refused(this.#tooLarge(call, end - at));
    else call.succeeded(bytes, at, end);
  }

  #tooLarge(call: PendingCall, bytes: number): MicroError {
    return messageTooLarge(
      `the response of ${call.method.name}`,
      bytes,
      this.limits.maxMessageBytes,
      "executed",
    );
  }

  async #close(graceMs: number): Promise<void> {
    this.#closedHere = true;
    this.#drained = false;
    if (this.#state === "open") this.#state = "draining";
    if (graceMs > 0 && this.#calls.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const reason = new MicroError(
      "canceled",
      `the channel to ${this.address} was closed during the call`,
    );
    for (const call of this.#calls.values()) call.cancel(reason);
    const { socket } = this;
    const gone = socket.closed
      ? undefined
      : new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.finish(reason);
    await gone;
  }

  #endDrain(): void {
    this.finish(
      new MicroError("unavailable", `${this.address} drained the connection`, {
        outcome: "not-executed",
      }),
    );
  }

  #numberOf(method: AnyMethod): number {
    this.#lastNumber = this.#numbers.get(method) ?? this.#nameMethod(method);
    this.#lastMethod = method;
    return this.#lastNumber;
  }

  /** Assigns a method its number on this connection. */
  #nameMethod(method: AnyMethod): number {
    const { name } = method;
    const { contentType } = method.input;
    const key = `${contentType} ${name}`;
    let number = this.#numbersByName.get(key);
    if (number === undefined) {
      if (!/^[\x21-\x7e]+$/.test(name) || name.length > maxMethodNameBytes) {
        throw new MicroError(
          "invalid_argument",
          `${JSON.stringify(name.slice(0, 96))} is not the name of a method: write package.Service/Method`,
          { outcome: "not-executed" },
        );
      }
      if (!/^[\x21-\x7e]{1,255}$/.test(contentType)) {
        throw new MicroError(
          "invalid_argument",
          `the codec of ${name} has no possible content type: ${JSON.stringify(contentType)}`,
          { outcome: "not-executed" },
        );
      }
      if (this.#numbersByName.size === maxMethods) {
        throw new MicroError(
          "resource_exhausted",
          `the channel to ${this.address} was used for ${maxMethods} methods; dial another one`,
          { outcome: "not-executed" },
        );
      }
      number = this.#numbersByName.size + 1;
      this.#numbersByName.set(key, number);
      this.writer.open(frameType.method, 0, number, 0, 0);
      this.writer.bytes(
        Buffer.from(`${String.fromCharCode(contentType.length)}${contentType}${name}`, "latin1"),
      );
      this.writer.close();
    }
    this.#numbers.set(method, number);
    return number;
  }

  #nextCall(): number {
    do this.#lastCall = this.#lastCall === lastCallId ? 1 : this.#lastCall + 1;
    while (this.#calls.get(this.#lastCall) !== undefined);
    return this.#lastCall;
  }

  #expire(now: number): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const call of this.#calls.values()) {
      if (call.deadline <= now) call.expire();
      else if (call.deadline < next) next = call.deadline;
    }
    return next;
  }
}

/** The deadline field of CALL: at least 1, because 0 means none. */
function remainingField(deadline: Deadline): number {
  if (deadline === Number.POSITIVE_INFINITY) return 0;
  return Math.min(Math.max(1, Math.ceil(deadline - turnNow())), longestRemainingMs);
}
