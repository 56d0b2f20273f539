import { Closable } from "../../../base/closable.ts";
import { type Deadline, DeadlineSweep } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import type { Method } from "../../../call/method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "../../call-errors.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import { DecodedAhead } from "../../streams/receive-queue.ts";
import type {
  Channel,
  ChannelState,
  OutgoingCall,
  TransportLimits,
  UnaryReceiver,
} from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { CallStream, CallStreamHandler } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import { defaultInflationRatio } from "../compression/inflation.ts";
import type { ChannelCall, OutgoingCalls } from "./outgoing-calls.ts";
import { OutgoingConnectUnary } from "./outgoing-connect-unary.ts";
import { type OutgoingMethod, OutgoingMethods, undescribed } from "./outgoing-methods.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { OutgoingUnary } from "./outgoing-unary.ts";

/** A channel to one server, whose calls share limits and a timer. */
export abstract class OutgoingChannel
  extends Closable<[graceMs?: number]>
  implements Channel, OutgoingCalls
{
  readonly address: string;
  readonly limits: TransportLimits;
  readonly closed: Promise<MicroError | undefined>;
  readonly maxResponseBytes: number;
  readonly maxInflationRatio: number;
  readonly compression: Compression | undefined;
  readonly compressMinBytes: number;
  readonly decodedAhead: DecodedAhead = new DecodedAhead();
  readonly maxUnreadCost: number;
  unreadCost = 0;
  readonly #methods: OutgoingMethods;
  readonly #calls: ChannelCall[] = [];
  #settleClosed: (reason: MicroError | undefined) => void = () => undefined;
  #idle: (() => void) | undefined;
  readonly #deadlines: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now));

  /** @param compression of requests; undefined for none. */
  constructor(
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
  }

  abstract readonly state: ChannelState;
  abstract readonly flushes: number;
  abstract openSoon(call: ChannelCall): void;
  abstract openStream(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
    handler: CallStreamHandler,
  ): CallStream;
  abstract copiesNow(stream: CallStream, bytes: number): boolean;
  abstract hasLeft(stream: CallStream, flushes: number): boolean;
  abstract lossOf(stream: CallStream): MicroError;
  abstract resetSoon(stream: CallStream): void;
  abstract abandon(stream: CallStream): void;

  /** Called when a call has ended. */
  protected abstract callRemoved(call: ChannelCall): void;

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
    return new OutgoingStream<O>(this, this.#methods.of(method), requests, outgoing).responses;
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
    if (calls.length === 0) this.#idle?.();
    this.callRemoved(call);
  }

  /** The open calls, as they are now. */
  protected get calls(): readonly ChannelCall[] {
    return [...this.#calls];
  }

  /** Waits until no call is open, but not longer than a time. */
  protected async waitForCalls(graceMs: number): Promise<void> {
    if (graceMs <= 0 || this.#calls.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
      timer = setTimeout(resolve, graceMs);
    });
    clearTimeout(timer);
  }

  /** Reports that the channel is closed, for a reason unless it was closed here. */
  protected settleClosed(reason: MicroError | undefined): void {
    this.#deadlines.close();
    this.#settleClosed(reason);
    this.#idle?.();
  }

  /** Cancels the open calls, because the channel is closed here. */
  protected cancelCalls(): MicroError {
    const reason = new MicroError("canceled", `the channel to ${this.address} was closed`, {
      outcome: "unknown",
    });
    for (const call of this.calls) call.cancel(reason);
    return reason;
  }

  #expire(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const call of this.calls) {
      if (call.deadline <= now) call.expire();
      else if (call.deadline < next) next = call.deadline;
    }
    return next;
  }
}
