import { MicroError } from "../base/error.ts";
import { settleAll } from "../base/settle-all.ts";
import type { Node } from "../registry/registry.ts";
import type { NodeChangeListener } from "../selector/selector.ts";
import type { Transport } from "../transport/transport.ts";
import { ChannelSlot, type ChannelSlotOptions } from "./channel-slot.ts";

/** Options for a {@link ChannelPool}. */
export interface ChannelPoolOptions extends ChannelSlotOptions {
  /** Transports in order of preference for an address. */
  readonly transports: readonly Transport[];
  /** Connections unused for this long are closed, in milliseconds. */
  readonly idleMs: number;
  /** Maximum number of addresses connected at once. */
  readonly maxAddresses: number;
}

/** Placeholder among the users of a connection for calls by address, which no registry knows of. */
const calledByAddress = "";

/** The connections of a client: one slot per address, shared by all calls. */
export class ChannelPool {
  readonly #options: ChannelPoolOptions;
  readonly #slots = new Map<string, ChannelSlot>();
  /** The same slots by node, found without building a key. */
  readonly #byNode = new WeakMap<Node, ChannelSlot>();
  /** The node of the last call and its slot. */
  #lastNode: Node | undefined;
  #lastSlot: ChannelSlot | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #pinsServices: boolean;

  constructor(options: ChannelPoolOptions) {
    this.#options = options;
    this.#pinsServices = options.transports.some(({ pinsService }) => pinsService !== undefined);
  }

  /** Number of addresses that are connected, or were and will be again. */
  get size(): number {
    return this.#slots.size;
  }

  /** Whether a transport supports the node's protocol and address. */
  speaks(node: Node): boolean {
    return this.#transport(node.address, node.metadata.protocol) !== undefined;
  }

  /**
   * The slot of a node that the client {@link speaks} to.
   *
   * @param service name used to look up the node; its own record may contain another
   */
  toNode(node: Node, service: string): ChannelSlot {
    const known = node === this.#lastNode ? this.#lastSlot : this.#byNode.get(node);
    const isFit =
      known !== undefined &&
      !known.closed &&
      (known.service === undefined || known.service === service);
    const slot = isFit ? known : this.#open(node, service);
    this.#lastNode = node;
    this.#lastSlot = slot;
    return slot;
  }

  /**
   * The slot of an address. @throws MicroError `invalid_argument` when no transport can dial it.
   */
  toAddress(address: string, service: string): ChannelSlot {
    const slot = this.#slot(address, undefined, service);
    slot.users.add(calledByAddress);
    return slot;
  }

  /**
   * Follows the selector: closes connections to nodes that have left, and ends the backoff of an
   * address where a new node appears.
   */
  readonly nodeChanged: NodeChangeListener = (change, node) => {
    const { protocol } = node.metadata;
    const pinned = this.#pinned(node.address, protocol, node.service);
    const slot = this.#slots.get(key(node.address, protocol, pinned));
    if (slot === undefined) return;
    if (change === "added") {
      if (!slot.users.has(node.id)) slot.resetBackoff();
      return;
    }
    slot.users.delete(node.id);
    if (slot.users.size === 0 && slot.openCalls === 0 && !slot.isDialing) this.#drop(slot);
  };

  /** Waits at most `graceMs` for open calls, and closes every connection. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearInterval(this.#idleTimer);
    const slots = [...this.#slots.values()];
    this.#slots.clear();
    this.#lastNode = undefined;
    this.#lastSlot = undefined;
    const [failure] = await settleAll(slots, (slot) => slot.close(graceMs));
    if (failure !== undefined) throw failure.reason;
  }

  #open(node: Node, service: string): ChannelSlot {
    const slot = this.#slot(node.address, node.metadata.protocol, service);
    slot.users.add(node.id);
    this.#byNode.set(node, slot);
    return slot;
  }

  #slot(address: string, protocol: string | undefined, service: string): ChannelSlot {
    const pinned = this.#pinned(address, protocol, service);
    const name = key(address, protocol, pinned);
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    if (this.#closed) throw poolClosed(address);
    const transport = this.#transport(address, protocol);
    if (transport === undefined) throw this.#unspoken(address, protocol);
    if (this.#slots.size >= this.#options.maxAddresses) this.#makeRoom(address);
    const slot = new ChannelSlot(address, protocol, pinned, transport, this.#options);
    this.#slots.set(name, slot);
    this.#idleTimer ??= setInterval(() => this.#dropIdle(), this.#options.idleMs / 2).unref();
    return slot;
  }

  #transport(address: string, protocol: string | undefined): Transport | undefined {
    return this.#options.transports.find(
      (transport) =>
        (protocol === undefined || transport.protocol === protocol) && transport.accepts(address),
    );
  }

  /**
   * The service, if it needs connections of its own because its servers are verified by service.
   */
  #pinned(address: string, protocol: string | undefined, service: string): string | undefined {
    if (!this.#pinsServices) return undefined;
    const transport = this.#transport(address, protocol);
    return transport?.pinsService?.(service) === true ? service : undefined;
  }

  #unspoken(address: string, protocol: string | undefined): MicroError {
    const spoken = this.#options.transports.map(({ name }) => name).join(", ");
    const wanted = protocol === undefined ? "" : ` speaking ${protocol}`;
    return new MicroError(
      "invalid_argument",
      `no transport of the client (${spoken || "it has none"}) can dial ${JSON.stringify(address.slice(0, 256))}${wanted}`,
      { outcome: "not-executed" },
    );
  }

  #makeRoom(address: string): void {
    for (const slot of this.#slots.values()) {
      if (slot.openCalls > 0 || slot.isDialing) continue;
      this.#drop(slot);
      return;
    }
    throw new MicroError(
      "resource_exhausted",
      `cannot connect to ${address}: the client is connected to ${this.#slots.size} addresses, all in use (maxAddresses)`,
      { outcome: "not-executed" },
    );
  }

  #dropIdle(): void {
    for (const slot of [...this.#slots.values()]) {
      const idle = slot.openCalls === 0 && !slot.isDialing;
      if (idle && (!slot.used || slot.users.size === 0)) this.#drop(slot);
      else slot.used = slot.openCalls > 0;
    }
  }

  #drop(slot: ChannelSlot): void {
    this.#slots.delete(key(slot.address, slot.protocol, slot.service));
    if (slot === this.#lastSlot) this.#lastNode = this.#lastSlot = undefined;
    slot
      .close(0)
      .catch((error) =>
        this.#options.logger.warn({ address: slot.address, error }, "cannot close a connection"),
      );
  }
}

function poolClosed(address: string): MicroError {
  return new MicroError("canceled", `${address} is not dialled: the client is closed`, {
    outcome: "not-executed",
  });
}

function key(address: string, protocol: string | undefined, service: string | undefined): string {
  if (service !== undefined) return `${address} ${protocol ?? ""} ${service}`;
  return protocol === undefined ? address : `${address} ${protocol}`;
}
