import { Closable } from "../base/closable.ts";
import { DeadlineSweep, monotonicNow } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { AnyMethod, Method } from "../call/method.ts";
import { callRefusal, channelNotOpen, tooManyCalls } from "../transport/call-errors.ts";
import { within } from "../transport/settle-within.ts";
import type {
  Channel,
  ChannelState,
  OutgoingCall,
  TransportLimits,
} from "../transport/transport.ts";
import { GoMicroClientConnection, type GoMicroClientConnections } from "./client-connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import type { CallForm, OutgoingRequest, OutgoingRequests } from "./outgoing-call.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { OutgoingUnary } from "./outgoing-unary.ts";

/**
 * How long a connection rests after a call, in milliseconds. A go-micro server treats a request
 * that follows the previous response within moments as a late message of that call, and never
 * responds. Other connections are used meanwhile.
 */
const restMs = 50;
/**
 * The longest idle time of a connection, in milliseconds. A server may have closed one that was
 * unused for longer.
 */
const maxIdleMs = 30_000;

/** Idle connections that are kept for further calls. */
const maxIdleConnections = 64;

/** Connections that are opened concurrently. */
const maxOpening = 64;

/** The connections to one server: one for each open call, and some idle ones for later calls. */
export class GoMicroChannel
  extends Closable<[graceMs?: number]>
  implements Channel, OutgoingRequests, GoMicroClientConnections
{
  readonly limits: TransportLimits;
  readonly callForm: CallForm;
  readonly closed: Promise<MicroError | undefined>;
  readonly #source: ConnectionPool;
  readonly #connections = new Set<GoMicroClientConnection>();
  /** Connections without a call, the longest idle first. */
  #idle: GoMicroClientConnection[] = [];
  readonly #calls = new Set<OutgoingRequest>();
  readonly #deadlines = new DeadlineSweep((now) => this.#expire(now));
  #opening = 0;
  /** Calls that wait until fewer connections are being opened, in order. */
  readonly #waiting: (() => void)[] = [];
  #state: ChannelState = "open";
  #lastId = 0;
  #responded = false;
  #allEnded: (() => void) | undefined;
  #resolveClosed!: (reason: MicroError | undefined) => void;

  constructor(source: ConnectionPool, limits: TransportLimits, callForm: CallForm) {
    super();
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

  get isEstablished(): boolean {
    return this.#responded;
  }

  /**
   * Opens the first connection.
   * @throws MicroError as `Transport.dial`.
   */
  async connect(): Promise<void> {
    this.release(await this.#open());
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O> {
    return new Promise((resolve, reject) => {
      new OutgoingUnary(this, method, call, resolve as (response: unknown) => void, reject).start(
        request,
      );
    });
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O> {
    return new OutgoingStream<O>(this, method, requests, call).responses;
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

  begin(call: OutgoingRequest): void {
    this.#calls.add(call);
    this.#deadlines.watch(call.outgoing.deadline);
  }

  ended(call: OutgoingRequest): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#allEnded?.();
  }

  async acquire(): Promise<GoMicroClientConnection> {
    const known = this.#rested();
    if (known !== undefined) return known;
    // A server accepts connections one after another, and drops those that arrive while too many
    // wait.
    if (this.#opening >= maxOpening) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#opening++;
    try {
      return this.#rested() ?? (await this.#open());
    } catch (reason) {
      const error = asMicroError(reason, "unavailable", { outcome: "not-executed" });
      // The channel closes, so that its user stops calling a server that does not respond.
      if (this.#connections.size === 0) this.#end(error);
      throw error;
    } finally {
      this.#opening--;
      this.#waiting.shift()?.();
    }
  }

  release(connection: GoMicroClientConnection): void {
    if (connection.firstHeader !== undefined) this.#responded = true;
    connection.free();
    if (connection.isClosed) return;
    if (this.#state === "open" && this.#idle.length < maxIdleConnections)
      this.#idle.push(connection);
    else connection.end();
  }

  /** Begins no further calls, and closes when the last one has ended. */
  retire(reason: MicroError): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#allEnded = () => this.#end(reason);
    if (this.#calls.size === 0) this.#end(reason);
  }

  connectionClosed(connection: GoMicroClientConnection): void {
    this.#connections.delete(connection);
    this.#idle = this.#idle.filter((it) => it !== connection);
    if (this.#connections.size > 0 || connection.closedHere || this.#state !== "open") return;
    // After the calls of the connection have been notified.
    queueMicrotask(() => {
      if (this.#connections.size > 0) return;
      this.#end(new MicroError("unavailable", `${this.address} closed the connection`));
    });
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
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
    for (const connection of [...this.#connections]) connection.destroy();
    this.#idle = [];
    this.#resolveClosed(reason);
  }

  async #open(): Promise<GoMicroClientConnection> {
    const connection = new GoMicroClientConnection(this);
    connection.attach(await this.#source.open(connection));
    if (this.#state === "closed") {
      connection.destroy();
      throw channelNotOpen(this.address, this.#state);
    }
    this.#connections.add(connection);
    return connection;
  }

  /** Returns the connection that has rested for the shortest sufficient time. */
  #rested(): GoMicroClientConnection | undefined {
    const now = monotonicNow();
    const latest = now - restMs;
    while (this.#idle.length > 0 && this.#idle[0]!.freeSince < now - maxIdleMs) {
      this.#idle.shift()?.end();
    }
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const connection = this.#idle[at]!;
      if (connection.firstHeader !== undefined && connection.freeSince > latest) continue;
      this.#idle.splice(at, 1);
      return connection;
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
