import { Closable } from "../../base/closable.ts";
import { type Deadline, DeadlineSweep } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import { type Allowance, Bucket } from "../../base/rate-limit.ts";
import type { AnyMethod, Method } from "../../call/method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "../call-errors.ts";
import type { Channel, ChannelState, OutgoingCall, TransportLimits } from "../transport.ts";
import type { HttpCallOptions } from "./call-options.ts";
import type { HttpLink, HttpLinkOwner } from "./link.ts";
import { HttpCall, type HttpCalls } from "./outgoing-call.ts";
import { OutgoingMethods } from "./outgoing-methods.ts";
import { PacedResets } from "./paced-resets.ts";

/**
 * Cancelled calls that a connection tolerates before it is replaced; fewer than servers tolerate.
 */
const resets: Allowance = { what: "calls were cancelled", burst: 500, perSecond: 25 };

/** A channel to one server over HTTP/1.1: one connection for each concurrent call. */
export class HttpChannel
  extends Closable<[graceMs?: number]>
  implements Channel, HttpCalls, HttpLinkOwner
{
  readonly address: string;
  readonly url: URL;
  readonly limits: TransportLimits;
  readonly methods: OutgoingMethods;
  readonly closed: Promise<MicroError | undefined>;
  readonly link: HttpLink;
  readonly #calls = new Set<HttpCall>();
  #state: ChannelState = "open";
  /** Why it accepts no further calls, once it does not. */
  #ending: MicroError = new MicroError("canceled", "the connection was closed here");
  #closedHere = false;
  #responded = false;
  #resolveClosed!: (reason: MicroError | undefined) => void;
  #idle: (() => void) | undefined;
  readonly #resets = new Bucket(resets);
  readonly #pacedResets = new PacedResets();
  readonly #deadlines = new DeadlineSweep((now) => this.#expire(now));

  constructor(
    address: string,
    url: URL,
    options: Partial<HttpCallOptions>,
    limits: TransportLimits,
    link: (owner: HttpLinkOwner) => HttpLink,
  ) {
    super();
    this.address = address;
    this.url = url;
    this.limits = limits;
    this.methods = new OutgoingMethods(url, options, limits);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.link = link(this);
  }

  get state(): ChannelState {
    return this.#state;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  get isEstablished(): boolean {
    return this.#responded;
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O> {
    const refused = this.refusal(method, call);
    if (refused !== undefined) return Promise.reject(refused);
    return new HttpCall(this, method, call).unary(request) as Promise<O>;
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O> {
    return new HttpCall(this, method, call).stream(requests) as AsyncIterable<O>;
  }

  /** Returns why a call must not begin; undefined if it may. */
  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined {
    if (this.#state !== "open") return channelNotOpen(this.address, this.#state);
    if (this.#calls.size >= this.limits.maxConcurrentCalls) {
      return tooManyCalls(this.address, this.limits.maxConcurrentCalls);
    }
    return callRefusal(method.name, call);
  }

  mayReset(): Promise<void> {
    return this.#pacedResets.turn();
  }

  responded(): void {
    this.#responded = true;
  }

  begin(call: HttpCall): void {
    this.#calls.add(call);
  }

  expireLater(call: HttpCall): void {
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#deadlines.watch(call.deadline);
  }

  /**
   * Covers streams only. Connect ends a unary call at its deadline, and a unary call always has a
   * waiting reader.
   */
  #expire(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      if (!call.streaming) continue;
      if (call.deadline <= now) call.expire();
      else next = Math.min(next, call.deadline);
    }
    return next;
  }

  /** @param reset whether the request was reset; servers limit resets. */
  ended(call: HttpCall, reset: boolean): void {
    this.#calls.delete(call);
    if (reset) this.#countReset();
    if (this.#calls.size > 0) return;
    this.#idle?.();
    if (this.#state === "draining") this.link.finish(this.#ending);
  }

  failing(reason: MicroError): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#ending = reason;
    if (this.#calls.size === 0) this.link.finish(reason);
  }

  linkClosed(reason: MicroError): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#deadlines.close();
    this.#pacedResets.end();
    for (const call of [...this.#calls]) call.cut(reason);
    this.#resolveClosed(this.#closedHere ? undefined : reason);
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    if (this.#state === "closed") return;
    this.#closedHere = true;
    this.#state = "draining";
    if (graceMs > 0 && this.#calls.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        timer = setTimeout(resolve, graceMs);
      });
      clearTimeout(timer);
    }
    for (const call of [...this.#calls]) {
      call.cancel(
        new MicroError("canceled", `the channel to ${this.address} was closed`, {
          outcome: "unknown",
        }),
      );
    }
    this.link.destroy(this.#ending);
    await this.closed;
  }

  #countReset(): void {
    if (this.#resets.take() || this.#state !== "open") return;
    this.#state = "draining";
    this.#ending = new MicroError(
      "unavailable",
      `the connection to ${this.address} was closed after ${resets.burst} calls that were cancelled on it`,
    );
  }
}
