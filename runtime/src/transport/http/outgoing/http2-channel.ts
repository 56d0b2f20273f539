import type { Socket } from "node:net";
import { Closable } from "../../../base/closable.ts";
import { type Deadline, DeadlineSweep } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import { type Allowance, Bucket } from "../../../base/rate-limit.ts";
import type { Method } from "../../../call/method.ts";
import { callRefusal, channelNotOpen, listenerDraining, tooManyCalls } from "../../call-errors.ts";
import { ClientConnection, type ClientConnectionOwner } from "../../http2/client-connection.ts";
import { errorCode } from "../../http2/error-code.ts";
import { defaultHttp2Limits, type Http2Limits } from "../../http2/limits.ts";
import type { Http2Stream } from "../../http2/stream.ts";
import { DecodedAhead } from "../../streams/receive-queue.ts";
import type {
  Channel,
  ChannelState,
  OutgoingCall,
  TransportLimits,
  UnaryReceiver,
} from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { Compression } from "../compression/algorithms.ts";
import { defaultInflationRatio } from "../compression/inflation.ts";
import { PacedResets } from "../paced-resets.ts";
import type { ChannelCall, OutgoingHttp2Calls } from "./outgoing-calls.ts";
import { OutgoingConnectUnary } from "./outgoing-connect-unary.ts";
import { type OutgoingMethod, OutgoingMethods, undescribed } from "./outgoing-methods.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { OutgoingUnary } from "./outgoing-unary.ts";

/**
 * Cancelled calls that a connection tolerates before it is replaced; fewer than servers tolerate.
 */
const resets: Allowance = { what: "calls were cancelled", burst: 500, perSecond: 25 };

/** The largest header of a response that is accepted, in bytes; as Node's client. */
const maxHeaderBytes = 64 * 1024;

/** A channel to one server: a single HTTP/2 connection. */
export class Http2Channel
  extends Closable<[graceMs?: number]>
  implements Channel, OutgoingHttp2Calls, ClientConnectionOwner
{
  readonly address: string;
  readonly limits: TransportLimits;
  readonly connection: ClientConnection;
  readonly closed: Promise<MicroError | undefined>;
  /** Resolves when the server has sent its settings; rejects if the connection ends before. */
  readonly ready: Promise<void>;
  readonly maxResponseBytes: number;
  readonly maxInflationRatio: number;
  readonly compression: Compression | undefined;
  readonly compressMinBytes: number;
  readonly decodedAhead: DecodedAhead = new DecodedAhead();
  readonly maxUnreadCost: number;
  unreadCost = 0;
  readonly #methods: OutgoingMethods;
  readonly #calls: ChannelCall[] = [];
  /** The calls that wait until the server accepts another request, in their order. */
  readonly #waiting = new Set<ChannelCall>();
  #state: ChannelState = "open";
  /** Why it accepts no further calls, if it was not closed here and the server did not say so. */
  #ending: MicroError | undefined;
  #closedHere = false;
  #settleClosed: (reason: MicroError | undefined) => void = () => undefined;
  #settleReady: (reason: MicroError | undefined) => void = () => undefined;
  #idle: (() => void) | undefined;
  readonly #resets = new Bucket(resets);
  readonly #pacedResets = new PacedResets();
  readonly #deadlines: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now));

  /** @param compression of requests; undefined for none. */
  constructor(
    socket: Socket,
    address: string,
    url: URL,
    options: Partial<HttpCallOptions>,
    limits: TransportLimits,
    compression: Compression | undefined,
  ) {
    super();
    this.address = address;
    this.limits = limits;
    const { maxMessageBytes } = limits;
    this.maxResponseBytes = Math.min(maxMessageBytes, options.maxResponseBytes ?? maxMessageBytes);
    this.maxInflationRatio = options.maxInflationRatio ?? defaultInflationRatio;
    this.compression = compression;
    this.compressMinBytes = options.compressMinBytes ?? 1_024;
    this.maxUnreadCost = Math.max(1024 * limits.streamWindowBytes, 4 * maxMessageBytes);
    this.#methods = new OutgoingMethods(url, options);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (reason) => (reason === undefined ? resolve() : reject(reason));
    });
    // The dialer may not be waiting any longer.
    this.ready.catch(() => undefined);
    this.connection = new ClientConnection(socket, url.origin, http2Limits(limits), this);
  }

  get state(): ChannelState {
    return this.connection.ended ? "closed" : this.#state;
  }

  get openCalls(): number {
    return this.#calls.length;
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
    const called = this.#methods.of(method);
    const refused = this.refusal(called, outgoing);
    if (refused !== undefined) {
      receiver.failed(refused);
      return;
    }
    const Call = called.protocol.isEnveloped ? OutgoingUnary<O> : OutgoingConnectUnary<O>;
    new Call(this, called, outgoing, receiver).start(request);
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    outgoing: OutgoingCall,
  ): AsyncIterable<O> {
    return new OutgoingStream<O>(this, this.#methods.of(method), requests, outgoing).answers;
  }

  refusal(
    { method, isUndescribed }: OutgoingMethod,
    outgoing: OutgoingCall,
  ): MicroError | undefined {
    if (isUndescribed) return undescribed(method);
    const { state } = this;
    if (state !== "open") return channelNotOpen(this.address, state);
    const { maxConcurrentCalls } = this.limits;
    if (this.#calls.length >= maxConcurrentCalls) {
      return tooManyCalls(this.address, maxConcurrentCalls);
    }
    return callRefusal(method.name, outgoing);
  }

  add(call: ChannelCall): void {
    call.place = this.#calls.push(call) - 1;
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#deadlines.watch(call.deadline);
  }

  openSoon(call: ChannelCall): void {
    if (this.#waiting.size === 0 && this.connection.capacity > 0) call.open();
    else if (this.#state === "closed" || this.#state === "draining") this.#refuse(call);
    else {
      this.#waiting.add(call);
      call.waits();
    }
  }

  remove(call: ChannelCall): void {
    const { place } = call;
    const calls = this.#calls;
    if (calls[place] !== call) return;
    const last = calls.pop()!;
    if (last !== call) {
      calls[place] = last;
      last.place = place;
    }
    call.place = -1;
    if (this.#waiting.size > 0) this.#waiting.delete(call);
    if (calls.length > 0) return;
    this.#idle?.();
    this.#finishIfUnused();
  }

  abandon(stream: Http2Stream): void {
    this.#countReset();
    this.resetSoon(stream);
    this.#finishIfUnused();
  }

  resetSoon(stream: Http2Stream): void {
    if (this.#pacedResets.takeTurn()) {
      stream.reset(errorCode.cancel);
      return;
    }
    stream.discard();
    void this.#pacedResets.turn().then(() => stream.reset(errorCode.cancel));
    // Until then it takes one of the places that the server has for calls.
    this.#retire("too many responses that came before their requests were read");
  }

  connected(): void {
    // A server that has no capacity for a connection sends its settings and then refuses it at
    // once.
    setImmediate(() => this.#settleReady(undefined));
  }

  goingAway(_connection: ClientConnection, text: string): void {
    if (this.#state === "open") this.#state = "draining";
    const why = text === "" ? "" : `: ${text}`;
    this.#settleReady(
      new MicroError("unavailable", `${this.address} takes no connection${why}`, {
        outcome: "not-executed",
      }),
    );
    for (const call of [...this.#waiting]) this.#refuse(call);
    this.#finishIfUnused();
  }

  hasCapacity(connection: ClientConnection): void {
    for (const call of this.#waiting) {
      if (connection.capacity === 0) return;
      this.#waiting.delete(call);
      const refused = callRefusal(call.name, call.outgoing);
      if (refused === undefined) call.open();
      else call.cancel(refused);
    }
  }

  connectionEnded(_connection: ClientConnection, reason: MicroError): void {
    this.#state = "closed";
    this.#deadlines.close();
    this.#pacedResets.end();
    // Those that have a stream are told by it.
    for (const call of [...this.#calls]) if (call.stream === undefined) call.lost(reason);
    this.#settleReady(reason);
    this.#settleClosed(this.#closedHere ? undefined : this.#closedBy(reason));
    this.#idle?.();
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    const { socket } = this.connection;
    this.#closedHere = true;
    if (this.#state === "open") this.#state = "draining";
    if (graceMs > 0 && this.#calls.length > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        timer = setTimeout(resolve, graceMs);
      });
      clearTimeout(timer);
    }
    const reason = new MicroError("canceled", `the channel to ${this.address} was closed`, {
      outcome: "unknown",
    });
    const gone = socket.closed
      ? undefined
      : new Promise<void>((resolve) => socket.once("close", () => resolve()));
    for (const call of [...this.#waiting]) this.#refuse(call);
    for (const call of [...this.#calls]) call.cancel(reason);
    this.connection.close(reason);
    await gone;
  }

  /** Ends a call that waits, because no further request is accepted. */
  #refuse(call: ChannelCall): void {
    call.cancel(listenerDraining(this.address));
  }

  #closedBy(reason: MicroError): MicroError {
    if (this.#ending !== undefined) return this.#ending;
    if (reason.code === "unavailable" || reason.code === "unauthenticated") return reason;
    return new MicroError(
      "unavailable",
      `the connection to ${this.connection.remote} ended: ${reason.message}`,
      { cause: reason },
    );
  }

  /** Closes the connection of a channel that drains and has no call left. */
  #finishIfUnused(): void {
    if (this.#state !== "draining" || this.#closedHere || this.#calls.length > 0) return;
    // Streams that wait to be reset belong to no call any longer, and end with the connection.
    if (this.#pacedResets.isBehind) this.connection.close(listenerDraining(this.address));
    else this.connection.drain();
  }

  #countReset(): void {
    if (!this.#resets.take()) this.#retire(`${resets.burst} calls that were cancelled on it`);
  }

  /** Begins no further calls on the connection, and closes it after the last one. */
  #retire(after: string): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#ending = new MicroError(
      "unavailable",
      `the connection to ${this.address} was closed after ${after}`,
    );
    for (const call of [...this.#waiting]) this.#refuse(call);
  }

  #expire(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      if (call.deadline <= now) call.expire();
      else if (call.deadline < next) next = call.deadline;
    }
    return next;
  }
}

/** The caller waits for the server to read as long as its deadline allows. */
function http2Limits(limits: TransportLimits): Http2Limits {
  return {
    ...defaultHttp2Limits,
    maxHeaderListBytes: maxHeaderBytes,
    streamWindowBytes: limits.streamWindowBytes,
    connectionWindowBytes: Math.max(1024 * 1024, 4 * limits.streamWindowBytes),
    maxUnreadBytes: Math.max(defaultHttp2Limits.maxUnreadBytes, 4 * limits.maxMessageBytes),
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    keepaliveIntervalMs: limits.keepaliveIntervalMs,
    keepaliveTimeoutMs: limits.keepaliveTimeoutMs,
    stallTimeoutMs: Number.POSITIVE_INFINITY,
    shortStallTimeoutMs: Number.POSITIVE_INFINITY,
    maxStalledBytes: Number.POSITIVE_INFINITY,
  };
}
