import { MicroError } from "../../error.ts";
import type { AnyMethod, Method } from "../../method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "../call-errors.ts";
import type { Channel, ChannelState, OutgoingCall, TransportLimits } from "../transport.ts";
import { type Allowance, Bucket } from "./allowance.ts";
import { CalledMethods } from "./called-methods.ts";
import { HttpCall, type HttpCalls } from "./http-call.ts";
import type { HttpCallOptions } from "./http-call-options.ts";
import type { HttpLink, HttpLinkOwner } from "./http-link.ts";

/** Cancelled calls that a connection bears, which is less than servers do, before it is given up for another. */
const resets: Allowance = { what: "calls were cancelled", burst: 500, perSecond: 25 };

/** A connection by HTTP, or with HTTP/1.1 as many as there are calls, to one server. */
export class HttpChannel implements Channel, HttpCalls, HttpLinkOwner {
  readonly address: string;
  readonly url: URL;
  readonly limits: TransportLimits;
  readonly methods: CalledMethods;
  readonly closed: Promise<MicroError | undefined>;
  readonly link: HttpLink;
  readonly #calls = new Set<HttpCall>();
  #state: ChannelState = "open";
  /** Why it takes no further call, once it does not. */
  #ending: MicroError = new MicroError("canceled", "the connection was closed here");
  #closedHere = false;
  #resolveClosed!: (reason: MicroError | undefined) => void;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  readonly #resets = new Bucket(resets);

  constructor(
    address: string,
    url: URL,
    options: Partial<HttpCallOptions>,
    limits: TransportLimits,
    link: (owner: HttpLinkOwner) => HttpLink,
  ) {
    this.address = address;
    this.url = url;
    this.limits = limits;
    this.methods = new CalledMethods(url, options, limits);
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

  /** Why a call must not begin; undefined when it may. */
  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined {
    if (this.#state !== "open") return channelNotOpen(this.address, this.#state);
    if (this.#calls.size >= this.limits.maxConcurrentCalls) {
      return tooManyCalls(this.address, this.limits.maxConcurrentCalls);
    }
    return callRefusal(method.name, call);
  }

  begin(call: HttpCall): void {
    this.#calls.add(call);
  }

  /** @param reset whether its request was cut off, of which servers do not bear any number. */
  ended(call: HttpCall, reset: boolean): void {
    this.#calls.delete(call);
    if (reset) this.#countReset();
    if (this.#calls.size > 0) return;
    this.#idle?.();
    if (this.#state === "draining") this.link.finish(this.#ending);
  }

  goingAway(): void {
    if (this.#state === "open") this.#state = "draining";
    this.#ending = new MicroError(
      "unavailable",
      `${this.address} is draining and takes no further call`,
      { outcome: "not-executed" },
    );
    if (this.#calls.size === 0) this.link.finish(this.#ending);
  }

  linkClosed(reason: MicroError): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const call of [...this.#calls]) call.cut(reason);
    this.#resolveClosed(this.#closedHere ? undefined : reason);
  }

  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
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
      `the connection to ${this.address} was given up after ${resets.burst} calls that were cancelled on it`,
    );
  }
}
