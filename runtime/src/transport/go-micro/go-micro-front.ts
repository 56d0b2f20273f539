import type { Socket } from "node:net";
import { DeadlineSweep } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import { listenerDraining } from "../call-errors.ts";
import type { Front } from "../front.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";
import { within } from "../within.ts";
import type { GoMicroLink } from "./link.ts";
import type { ServedCall } from "./served-call.ts";
import { ServedLink, type ServedLinks } from "./served-link.ts";
import { SocketLink } from "./socket-link.ts";

/** How go-micro's protocol is spoken at a listener. */
export interface GoMicroServeOptions {
  /**
   * A connection without a call is closed after this long, in milliseconds. go-micro uses connections for a minute.
   * Default 300,000.
   */
  readonly idleTimeoutMs?: number;
}

const defaultIdleMs = 300_000;

/** All that speaks go-micro's mucp at one listener, whatever its messages come by. */
export class GoMicroFront implements Front, ServedLinks {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly address: string;
  readonly transport: string;
  readonly #options: GoMicroServeOptions;
  readonly #listenOptions: ListenOptions;
  /** Links, with what ends them. */
  readonly #links = new Map<ServedLink, GoMicroLink>();
  readonly #calls = new Set<ServedCall>();
  readonly #deadlines = new DeadlineSweep((now) => this.#expire(now));
  #draining = false;
  #settle: (() => void) | undefined;
  #drained: Promise<void> | undefined;
  #gone: (() => void) | undefined;

  /** @param transport name of the transport, for {@link Peer.transport}. */
  constructor(
    dispatcher: Dispatcher,
    limits: TransportLimits,
    transport: string,
    address: string,
    options: GoMicroServeOptions,
    listenOptions: ListenOptions,
  ) {
    this.dispatcher = dispatcher;
    this.limits = limits;
    this.transport = transport;
    this.address = address;
    this.#options = options;
    this.#listenOptions = listenOptions;
  }

  get connections(): number {
    return this.#links.size;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  accept(socket: Socket, peerAddress: string): void {
    if (!this.#hasRoom(peerAddress)) {
      socket.destroy();
      return;
    }
    const served = this.add(
      peerAddress,
      (owner) => new SocketLink(socket, peerAddress, this.limits, owner),
    );
    const idleMs = this.#options.idleTimeoutMs ?? defaultIdleMs;
    socket.setTimeout(idleMs, () => {
      if (served.openCalls === 0) socket.destroy();
    });
  }

  /** Serves a link that `open` makes. */
  add(peerAddress: string, open: (owner: ServedLink) => GoMicroLink): ServedLink {
    const served = new ServedLink(this, peerAddress);
    const link = open(served);
    this.#links.set(served, link);
    served.attach(link);
    return served;
  }

  begin(call: ServedCall): void {
    this.#calls.add(call);
    this.#deadlines.watch(call.call.deadline);
  }

  ended(call: ServedCall): void {
    this.#calls.delete(call);
    this.#checkDrained();
  }

  linkClosed(link: ServedLink): void {
    this.#links.delete(link);
    if (this.#links.size === 0) this.#gone?.();
  }

  violated(error: MicroError, peer: string): void {
    this.#listenOptions.onConnectionError?.(error, peer);
  }

  /**
   * Refuses calls. Connections stay: clients of go-micro take one that closes under them for a failed call, and hear
   * of a node that is gone by the registry.
   */
  drain(): Promise<void> {
    this.#drained ??= new Promise((resolve) => {
      this.#draining = true;
      this.#settle = resolve;
      this.#checkDrained();
    });
    return this.#drained;
  }

  async close(graceMs: number): Promise<void> {
    const drained = this.drain();
    if (this.#calls.size > 0) await within(graceMs, drained);
    const reason = new MicroError("unavailable", `the listener at ${this.address} was closed`);
    for (const call of [...this.#calls]) call.cancel(reason);
    this.#deadlines.close();
    if (this.#links.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    for (const link of this.#links.values()) link.end();
    await gone;
  }

  #hasRoom(peerAddress: string): boolean {
    const full = this.#links.size >= this.limits.maxConnections;
    if (!full && !this.#draining) return true;
    const refusal = full
      ? new MicroError(
          "resource_exhausted",
          `${this.address} has ${this.limits.maxConnections} connections, which is its limit (maxConnections)`,
        )
      : listenerDraining(this.address);
    this.violated(refusal, peerAddress);
    return false;
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      const { deadline } = call.call;
      if (deadline <= now) call.expire();
      else next = Math.min(next, deadline);
    }
    return next;
  }

  #checkDrained(): void {
    if (this.#calls.size === 0) this.#settle?.();
  }
}
