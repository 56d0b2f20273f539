import { Closable } from "../../base/closable.ts";
import { type Deadline, DeadlineSweep } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { Peer } from "../../call/call.ts";
import type { Method } from "../../call/method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "../call-errors.ts";
import { PendingAdmissions } from "../pending-admissions.ts";
import type { Channel, ChannelState, OutgoingCall, UnaryReceiver } from "../transport.ts";
import { MemoryCallSet } from "./call-set.ts";
import type { MemoryCall, MemoryCalls, MemoryLink } from "./link.ts";
import { MemoryStreamCall } from "./stream.ts";
import { MemoryUnaryCall } from "./unary.ts";

/** Calls that begin in a row before timers and sockets get a turn. */
const callsPerTurn = 256;

/** A channel between two sides in one process. It delivers calls by calling the dispatcher. */
export class MemoryChannel extends Closable<[graceMs?: number]> implements Channel, MemoryCalls {
  readonly address: string;
  readonly closed: Promise<MicroError | undefined>;
  readonly link: MemoryLink;
  readonly peer: Peer;
  readonly pending: PendingAdmissions = new PendingAdmissions();
  readonly #calls = new MemoryCallSet();
  readonly #sweep: DeadlineSweep;
  #state: ChannelState = "open";
  /** The listener accepts no further calls, and `close` was not called here. */
  #drained = false;
  #settle: (reason: MicroError | undefined) => void = () => undefined;
  #idle: (() => void) | undefined;
  #begun = 0;
  /** Calls that begin once the current turn has ended. */
  #next: MemoryCall[] = [];
  readonly #runNext = (): void => this.#run();

  constructor(link: MemoryLink) {
    super();
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
    return new Promise((responded, failed) => {
      this.startUnary(method, request, call, { responded, failed });
    });
  }

  startUnary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ): void {
    new MemoryUnaryCall(this, method, call, receiver).begin(request);
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
    if (this.#next.push(call) > 1) return;
    if (this.#begun < callsPerTurn) {
      queueMicrotask(this.#runNext);
    } else {
      // Without the pause, a loop of awaited calls would never let a timer fire or a socket be
      // read.
      this.#begun = 0;
      setImmediate(this.#runNext);
    }
  }

  remove(call: MemoryCall): void {
    if (!this.#calls.delete(call) || this.#calls.size > 0) return;
    this.#idle?.();
    this.link.onIdle();
    if (this.#drained) this.#endDrain();
  }

  /** Called when the listener accepts no further calls. */
  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#drained = true;
    if (this.#calls.size === 0) this.#endDrain();
  }

  /** Called when the listener is closed. */
  lose(): void {
    if (this.#state === "closed") return;
    const reason = new MicroError("unavailable", `the listener at ${this.address} was closed`);
    for (const call of this.#calls.all()) call.cut(reason);
    this.#end(reason);
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
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
    for (const call of this.#calls.all()) {
      call.cancel(
        new MicroError("canceled", `the channel to ${this.address} was closed during the call`),
      );
    }
    this.#end(undefined);
  }

  #run(): void {
    const calls = this.#next;
    this.#next = [];
    this.#begun += calls.length;
    for (const call of calls) {
      try {
        call.run();
      } catch (error) {
        // A receiver that throws has a bug of its own, and must not hold up the calls behind it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
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
    for (const call of this.#calls.all()) {
      if (call.deadline <= now) call.expire();
      else if (call.deadline < next) next = call.deadline;
    }
    return next;
  }
}
