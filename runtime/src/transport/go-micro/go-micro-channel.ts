import { DeadlineSweep, monotonicNow } from "../../deadline.ts";
import { asMicroError, MicroError } from "../../error.ts";
import type { AnyMethod, Method } from "../../method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "../call-errors.ts";
import type { Channel, ChannelState, OutgoingCall, TransportLimits } from "../transport.ts";
import { within } from "../within.ts";
import type { CalledCall, CalledCalls, CallForm } from "./called-call.ts";
import { CalledStream } from "./called-stream.ts";
import { CalledUnary } from "./called-unary.ts";
import { ClientLink, type ClientLinks } from "./client-link.ts";
import type { LinkSource } from "./link-source.ts";

/**
 * A server of go-micro's takes a request for a late message of the one before when it follows the answer within
 * moments, and never answers it. So a link rests for this long, and another one is used meanwhile.
 */
const restMs = 50;
/** A server may have forgotten a link that was not used for longer. */
const maxIdleMs = 30_000;

/** Links that are kept for further calls. */
const maxIdleLinks = 64;

/** Links that are opened at once. */
const maxOpening = 64;

/** What is connected to one server: a link for each call that is open, and some that wait for the next. */
export class GoMicroChannel implements Channel, CalledCalls, ClientLinks {
  readonly limits: TransportLimits;
  readonly callForm: CallForm;
  readonly closed: Promise<MicroError | undefined>;
  readonly #source: LinkSource;
  readonly #links = new Set<ClientLink>();
  /** Links without a call, the longest idle first. */
  #idle: ClientLink[] = [];
  readonly #calls = new Set<CalledCall>();
  readonly #deadlines = new DeadlineSweep((now) => this.#expire(now));
  #opening = 0;
  /** Calls that wait until fewer links are being opened, in their order. */
  readonly #waiting: (() => void)[] = [];
  #state: ChannelState = "open";
  #lastId = 0;
  #allEnded: (() => void) | undefined;
  #resolveClosed!: (reason: MicroError | undefined) => void;
  #closing: Promise<void> | undefined;

  constructor(source: LinkSource, limits: TransportLimits, callForm: CallForm) {
    this.#source = source;
    this.limits = limits;
    this.callForm = callForm;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get address(): string {
    return this.#source.address;
  }

  get state(): ChannelState {
    return this.#state;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  /** Opens the first link. @throws MicroError as `Transport.dial`. */
  async connect(): Promise<void> {
    this.release(await this.#open());
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O> {
    return new Promise((resolve, reject) => {
      new CalledUnary(this, method, call, resolve as (answer: unknown) => void, reject).start(
        request,
      );
    });
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O> {
    return new CalledStream<O>(this, method, requests, call).answers;
  }

  nextId(): string {
    return String(++this.#lastId);
  }

  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined {
    if (this.#state !== "open") return channelNotOpen(this.address, this.#state);
    if (this.#calls.size >= this.limits.maxConcurrentCalls) {
      return tooManyCalls(this.address, this.limits.maxConcurrentCalls);
    }
    return callRefusal(method.name, call);
  }

  begin(call: CalledCall): void {
    this.#calls.add(call);
    this.#deadlines.watch(call.outgoing.deadline);
  }

  ended(call: CalledCall): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#allEnded?.();
  }

  async acquire(): Promise<ClientLink> {
    const known = this.#rested();
    if (known !== undefined) return known;
    // A server takes connections one after another, and drops those that come while too many wait.
    if (this.#opening >= maxOpening) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#opening++;
    try {
      return this.#rested() ?? (await this.#open());
    } catch (reason) {
      const error = asMicroError(reason, "unavailable", { outcome: "not-executed" });
      // Whoever keeps the channel shall not go on calling where nobody answers.
      if (this.#links.size === 0) this.#end(error);
      throw error;
    } finally {
      this.#opening--;
      this.#waiting.shift()?.();
    }
  }

  release(link: ClientLink): void {
    link.free();
    if (link.isClosed) return;
    if (this.#state === "open" && this.#idle.length < maxIdleLinks) this.#idle.push(link);
    else link.end();
  }

  linkClosed(link: ClientLink): void {
    this.#links.delete(link);
    this.#idle = this.#idle.filter((it) => it !== link);
    if (this.#links.size > 0 || link.closedHere || this.#state !== "open") return;
    // After the calls of the link have heard of it.
    queueMicrotask(() => {
      if (this.#links.size > 0) return;
      this.#end(new MicroError("unavailable", `${this.address} closed the connection`));
    });
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
    this.#state = "draining";
    if (this.#calls.size > 0) {
      const ended = new Promise<void>((resolve) => {
        this.#allEnded = resolve;
      });
      await within(graceMs, ended);
    }
    for (const call of [...this.#calls]) {
      call.cancel(
        new MicroError("canceled", `the channel to ${this.address} was closed`, {
          outcome: "unknown",
        }),
      );
    }
    this.#end(undefined);
  }

  #end(reason: MicroError | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#deadlines.close();
    for (const link of [...this.#links]) link.destroy();
    this.#idle = [];
    this.#resolveClosed(reason);
  }

  async #open(): Promise<ClientLink> {
    const link = new ClientLink(this);
    link.attach(await this.#source.open(link));
    if (this.#state === "closed") {
      link.destroy();
      throw channelNotOpen(this.address, this.#state);
    }
    this.#links.add(link);
    return link;
  }

  /** The link that has rested for the shortest time, but long enough. */
  #rested(): ClientLink | undefined {
    const now = monotonicNow();
    const latest = now - restMs;
    while (this.#idle.length > 0 && this.#idle[0]!.freeSince < now - maxIdleMs) {
      this.#idle.shift()?.end();
    }
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const link = this.#idle[at]!;
      if (link.firstHeader !== undefined && link.freeSince > latest) continue;
      this.#idle.splice(at, 1);
      return link;
    }
    return undefined;
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      const { deadline } = call.outgoing;
      if (deadline <= now) call.expire();
      else next = Math.min(next, deadline);
    }
    return next;
  }
}
