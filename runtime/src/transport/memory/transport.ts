import { MicroError } from "../../base/error.ts";
import { checkOptions, instanceOf, optionsOf } from "../../base/option-check.ts";
import { listenerDraining } from "../call-errors.ts";
import { checkDial } from "../dial-limits.ts";
import { resolveLimits } from "../limits.ts";
import { limitKinds, listenKinds } from "../option-kinds.ts";
import type { Channel, Dispatcher, Listener, Transport, TransportLimits } from "../transport.ts";
import { MemoryChannel } from "./channel.ts";

/**
 * The addresses in use by listeners of the memory transport. Networks are isolated from each other.
 */
export class MemoryNetwork {
  readonly #listeners = new Map<string, MemoryListener>();
  #nextFree = 1;

  /** Returns the listener at an address, if there is one. */
  find(address: string): MemoryListener | undefined {
    return this.#listeners.get(address);
  }

  /** Reserves an address for a listener; `memory:0` selects a free one. */
  add(wanted: string, create: (address: string) => MemoryListener): MemoryListener {
    let address = wanted;
    if (wanted === "memory:0") {
      do address = `memory:${this.#nextFree++}`;
      while (this.#listeners.has(address));
    }
    if (this.#listeners.has(address)) {
      throw new MicroError(
        "already_exists",
        `cannot listen at ${address}: address already in use in this process; stop the other or choose another address: memory:0 takes a free one`,
        { outcome: "not-executed" },
      );
    }
    const listener = create(address);
    this.#listeners.set(address, listener);
    return listener;
  }

  /** Releases the address of a listener. */
  remove(listener: MemoryListener): void {
    if (this.#listeners.get(listener.address) === listener) {
      this.#listeners.delete(listener.address);
    }
  }
}

const processNetwork = new MemoryNetwork();

/** Options of {@link memoryTransport}. */
export interface MemoryTransportOptions {
  /** Default: one network for the whole process. */
  readonly network?: MemoryNetwork;
  readonly limits?: Partial<TransportLimits>;
}

/**
 * Carries calls inside one process, at addresses such as `memory:greeter`; `memory:0` selects a
 * free name.
 *
 * It behaves exactly as a network transport does. Messages are never shared: each side gets its own
 * complete copy, which the method's codecs decode from its bytes. A handler may therefore modify
 * its request and return a plain initializer, and a message that violates its type or a limit fails
 * here as it would on a network. Limits, deadlines, flow control and refusals match those of the
 * other transports; the only difference is that connections never break.
 *
 * @example
 * ```ts
 * import { createService, memoryTransport } from "@micro-es/runtime";
 *
 * const service = createService({ name: "greeter", transports: [memoryTransport()] });
 * ```
 */
export function memoryTransport(options: MemoryTransportOptions = {}): Transport {
  checkOptions("memoryTransport", options, {
    network: instanceOf("a MemoryNetwork", MemoryNetwork),
    limits: optionsOf<TransportLimits>(limitKinds),
  });
  const network = options.network ?? processNetwork;
  const limits = resolveLimits(options.limits);
  return {
    name: "memory",
    protocol: "memory",
    guarantees: {
      reach: "process",
      flowControl: "stream",
      cancellation: true,
      drain: true,
      fullMetadata: true,
      // There is no connection to lose.
      resumption: true,
      encrypted: true,
      maxMessageBytes: limits.maxMessageBytes,
    },
    accepts: (address) => address.startsWith("memory:"),
    async dial(address, dialOptions = {}) {
      checkAddress(address);
      checkDial(address, dialOptions);
      const listener = network.find(address);
      if (listener === undefined) {
        throw new MicroError(
          "unavailable",
          `cannot dial ${address}: nothing in this process listens there`,
          { outcome: "not-executed" },
        );
      }
      return listener.connect(limits);
    },
    async listen(address, dispatcher, listenOptions = {}) {
      checkAddress(address);
      checkOptions(`listen at ${address}`, listenOptions, listenKinds);
      return network.add(
        address,
        (taken) => new MemoryListener(network, taken, dispatcher, limits),
      );
    },
  };
}

class MemoryListener implements Listener {
  readonly address: string;
  readonly #network: MemoryNetwork;
  readonly #dispatcher: Dispatcher;
  readonly #limits: TransportLimits;
  readonly #channels = new Set<MemoryChannel>();
  #peers = 0;
  #state: "listening" | "draining" | "closed" = "listening";
  #drained: Promise<void> | undefined;
  #settle: (() => void) | undefined;

  constructor(
    network: MemoryNetwork,
    address: string,
    dispatcher: Dispatcher,
    limits: TransportLimits,
  ) {
    this.#network = network;
    this.address = address;
    this.#dispatcher = dispatcher;
    this.#limits = limits;
  }

  get connections(): number {
    return this.#channels.size;
  }

  get openCalls(): number {
    let calls = 0;
    for (const channel of this.#channels) calls += channel.openCalls;
    return calls;
  }

  /** Opens a channel for a dialing client. */
  connect(dialer: TransportLimits): Channel {
    if (this.#state !== "listening") throw listenerDraining(this.address);
    if (this.#channels.size >= this.#limits.maxConnections) {
      throw new MicroError(
        "unavailable",
        `cannot dial ${this.address}: it has ${this.#channels.size} connections, which is its limit (maxConnections)`,
        { outcome: "not-executed" },
      );
    }
    const channel = new MemoryChannel({
      address: this.address,
      peerAddress: `${this.address}#${++this.#peers}`,
      dispatcher: this.#dispatcher,
      limits: {
        ...this.#limits,
        maxMessageBytes: Math.min(this.#limits.maxMessageBytes, dialer.maxMessageBytes),
        maxConcurrentCalls: Math.min(this.#limits.maxConcurrentCalls, dialer.maxConcurrentCalls),
      },
      responseWindowBytes: dialer.streamWindowBytes,
      onIdle: () => this.#checkDrained(),
      onClosed: () => {
        this.#channels.delete(channel);
        this.#checkDrained();
      },
    });
    this.#channels.add(channel);
    return channel;
  }

  drain(): Promise<void> {
    if (this.#drained === undefined) {
      if (this.#state === "listening") this.#state = "draining";
      this.#network.remove(this);
      this.#drained = new Promise((resolve) => {
        this.#settle = resolve;
      });
      for (const channel of this.#channels) channel.drain();
      this.#checkDrained();
    }
    return this.#drained;
  }

  async close(graceMs = 0): Promise<void> {
    const drained = this.drain();
    if (graceMs > 0 && this.openCalls > 0) {
      let timer: NodeJS.Timeout | undefined;
      const grace = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([drained, grace]);
      clearTimeout(timer);
    }
    this.#state = "closed";
    for (const channel of this.#channels) channel.lose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkDrained(): void {
    if (this.#settle !== undefined && this.openCalls === 0) this.#settle();
  }
}

function checkAddress(address: string): void {
  if (/^memory:[A-Za-z0-9._-]{1,255}$/.test(address)) return;
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(address.slice(0, 128))} is not an address of the memory transport: write memory:name with letters, digits, ".", "_" and "-"`,
    { outcome: "not-executed" },
  );
}
