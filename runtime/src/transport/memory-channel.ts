import type { Peer } from "../call.ts";
import { type Deadline, DeadlineSweep } from "../deadline.ts";
import { MicroError } from "../error.ts";
import type { Method } from "../method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "./call-errors.ts";
import type { MemoryCall, MemoryCalls, MemoryLink } from "./memory-link.ts";
import { MemoryStreamCall } from "./memory-stream.ts";
import { MemoryUnaryCall } from "./memory-unary.ts";
import type { Channel, ChannelState, OutgoingCall } from "./transport.ts";

/** Calls that begin one after the other before timers and sockets get a turn. */
const callsPerTurn = 256;

/** A channel between two sides in one process: it hands over calls by calling the dispatcher. */
export class MemoryChannel implements Channel, MemoryCalls {
  readonly address: string;
  readonly closed: Promise<MicroError | undefined>;
  readonly link: MemoryLink;
  readonly peer: Peer;
  readonly #calls = new Set<MemoryCall>();
  readonly #sweep: DeadlineSweep;
  #state: ChannelState = "open";
  /** The other side takes no further call, and nobody has called `close` here. */
  #drained = false;
  #settle: (reason: MicroError | undefined) => void = () => undefined;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  #begun = 0;
  /** Calls that wait for the next turn; undefined while none has to. */
  #held: MemoryCall[] | undefined;

  constructor(link: MemoryLink) {
    this.link = link;
    this.address = link.address;
    this.peer = { address: link.peerAddress, transport: "memory" };
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
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
    call: OutgoingCall,
  ): Promise<O> {
    return new Promise((resolve, reject) => {
      new MemoryUnaryCall(this, method, request, call, resolve, reject).begin();
    });
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O> {
    return new MemoryStreamCall<O>(this, method, requests, call).responses;
  }

  refusal(method: string, call: OutgoingCall): MicroError | undefined {
    if (this.#state !== "open") return channelNotOpen(this.address, this.#state);
    if (this.#calls.size >= this.link.limits.maxConcurrentCalls) {
      return tooManyCalls(this.address, this.link.limits.maxConcurrentCalls);
    }
    return callRefusal(method, call);
  }

  begin(call: MemoryCall): void {
    this.#calls.add(call);
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#sweep.watch(call.deadline);
    if (this.#held !== undefined) {
      this.#held.push(call);
    } else if (++this.#begun % callsPerTurn === 0) {
      // Without the pause loops of awaited calls would never let a timer fire or a socket be read.
      this.#held = [call];
      setImmediate(() => this.#runHeld());
    } else {
      queueMicrotask(() => call.run());
    }
  }

  remove(call: MemoryCall): void {
    if (!this.#calls.delete(call) || this.#calls.size > 0) return;
    this.#idle?.();
    this.link.onIdle();
    if (this.#drained) this.#endDrain();
  }

  /** The listener takes no further call. */
  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#drained = true;
    if (this.#calls.size === 0) this.#endDrain();
  }

  /** The listener is gone. */
  lose(): void {
    if (this.#state === "closed") return;
    const reason = new MicroError("unavailable", `the listener at ${this.address} was closed`);
    for (const call of [...this.#calls]) call.cut(reason);
    this.#end(reason);
  }

  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
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
    for (const call of [...this.#calls]) {
      call.cancel(
        new MicroError("canceled", `the channel to ${this.address} was closed during the call`),
      );
    }
    this.#end(undefined);
  }

  #runHeld(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const call of held) call.run();
  }

  #endDrain(): void {
    this.#end(
      new MicroError("unavailable", `${this.address} drained the connection`, {
        outcome: "not-executed",
      }),
    );
  }

  #end(reason: MicroError | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#sweep.close();
    this.#idle?.();
    this.#settle(reason);
    this.link.onClosed(this);
  }

  #expire(now: number): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      if (call.deadline <= now) call.expire();
      else if (call.deadline < next) next = call.deadline;
    }
    return next;
  }
}
