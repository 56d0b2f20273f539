import { MicroError } from "../error.ts";
import type { Node } from "../registry/registry.ts";
import type { NodeChangeListener } from "../selector/selector.ts";
import type { Transport } from "../transport/transport.ts";
import { ChannelSlot, type ChannelSlotOptions } from "./channel-slot.ts";

/** What a {@link ChannelPool} is told. */
export interface ChannelPoolOptions extends ChannelSlotOptions {
  /** In the order in which they are asked whether they can dial an address. */
  readonly transports: readonly Transport[];
  /** Connections that were not used for this long are closed, in milliseconds. */
  readonly idleMs: number;
  /** Addresses that are connected to at once. */
  readonly maxAddresses: number;
}

/** Stands among the users of a connection for calls by address, which no registry knows of. */
const calledByAddress = "";

/** The connections of a client: one for each address, shared by all calls. */
export class ChannelPool {
  readonly #options: ChannelPoolOptions;
  readonly #slots = new Map<string, ChannelSlot>();
  /** The same slots, found without making a key. */
  readonly #byNode = new WeakMap<Node, ChannelSlot>();
  /** The node of the last call and its slot. */
  #lastNode: Node | undefined;
  #lastSlot: ChannelSlot | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ChannelPoolOptions) {
    this.#options = options;
  }

  /** Addresses that are connected to, or were and will be again. */
  get size(): number {
    return this.#slots.size;
  }

  /** Whether a transport can speak to the node, by its protocol and its address. */
  speaks(node: Node): boolean {
    return this.#transport(node.address, node.metadata.protocol) !== undefined;
  }

  /** What is connected to a node that the client {@link speaks} to. */
  toNode(node: Node): ChannelSlot {
    const known = node === this.#lastNode ? this.#lastSlot : this.#byNode.get(node);
    const slot = known === undefined || known.closed ? this.#open(node) : known;
    this.#lastNode = node;
    this.#lastSlot = slot;
    return slot;
  }

  /** What is connected to an address. @throws MicroError `invalid_argument` when no transport can dial it. */
  toAddress(address: string): ChannelSlot {
    const slot = this.#slot(address, undefined);
    slot.users.add(calledByAddress);
    return slot;
  }

  /** Follows the selector: closes what nobody is at any more, and dials again where somebody new is. */
  readonly nodeChanged: NodeChangeListener = (change, node) => {
    const slot = this.#slots.get(key(node.address, node.metadata.protocol));
    if (slot === undefined) return;
    if (change === "added") {
      if (!slot.users.has(node.id)) slot.forgive();
      return;
    }
    slot.users.delete(node.id);
    if (slot.users.size === 0 && slot.openCalls === 0 && !slot.isDialing) this.#drop(slot);
  };

  /** Lets open calls end for at most `graceMs`, and closes every connection. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearInterval(this.#idleTimer);
    const slots = [...this.#slots.values()];
    this.#slots.clear();
    this.#lastNode = undefined;
    this.#lastSlot = undefined;
    await Promise.all(slots.map((slot) => slot.close(graceMs)));
  }

  #open(node: Node): ChannelSlot {
    const slot = this.#slot(node.address, node.metadata.protocol);
    slot.users.add(node.id);
    this.#byNode.set(node, slot);
    return slot;
  }

  #slot(address: string, protocol: string | undefined): ChannelSlot {
    const name = key(address, protocol);
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    if (this.#closed) throw poolClosed(address);
    const transport = this.#transport(address, protocol);
    if (transport === undefined) throw this.#unspoken(address, protocol);
    if (this.#slots.size >= this.#options.maxAddresses) this.#makeRoom(address);
    const slot = new ChannelSlot(address, protocol, transport, this.#options);
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
    this.#slots.delete(key(slot.address, slot.protocol));
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

function key(address: string, protocol: string | undefined): string {
  return protocol === undefined ? address : `${address} ${protocol}`;
}
