import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { BlockList } from "node:net";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";

import { asMicroError, MicroError } from "../../base/error.ts";

/** Options for a {@link MulticastLink}. */
export interface LinkOptions {
  readonly group: string;
  readonly port: number;
  /**
   * Name or IPv4 address of the only interface to use. Default: all; the loopback interface only if
   * there is no other.
   */
  readonly interface: string | undefined;
}

/** The origin of a packet. */
export interface PacketSource {
  readonly host: string;
  readonly port: number;
  /** Whether it came from this machine. */
  readonly local: boolean;
}

/** Callbacks through which a link reports to its owner. */
export interface LinkHandlers {
  packet(bytes: Buffer, source: PacketSource): void;
  /** A packet of this link came back, so everything sent to the group before it has been read. */
  echo(bytes: Buffer): void;
  /** A packet from outside the attached networks was dropped. */
  offLink(): void;
  /** No interface is left, or one is available again. */
  change(up: boolean, reason: MicroError | undefined): void;
}

const rescanMs = 5_000;
const firstRetryMs = 500;
const receiveBufferBytes = 1024 * 1024;

/**
 * The UDP sockets of multicast DNS, over IPv4. One socket listens on the shared port and has joined
 * the group on every interface. In addition, one socket per interface sends on it and receives the
 * replies addressed to it, because a unicast packet to the shared port reaches only one of the
 * processes that share it.
 *
 * It follows interfaces that appear and disappear.
 */
export class MulticastLink {
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #senders = new Map<string, Sender>();
  #listener: Socket | undefined;
  #joined = new Set<string>();
  #local = new Set<string>();
  #attached = new BlockList();
  #opening: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #up = false;
  #closed = false;

  constructor(options: LinkOptions, handlers: LinkHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  get up(): boolean {
    return this.#up;
  }

  /**
   * @throws MicroError `unavailable` when there is no usable interface; the link then retries by
   * itself.
   */
  async open(): Promise<void> {
    this.#opening ??= this.#reopen();
    await this.#opening;
    if (this.#up) return;
    const { group, port, interface: only } = this.#options;
    throw new MicroError(
      "unavailable",
      `multicast DNS cannot use ${only ?? "any interface"} for ${group}:${port}; check that it is up and that no program holds the port exclusively`,
      { outcome: "not-executed" },
    );
  }

  /**
   * Sends to the group on every interface, or with `local` only to this machine if it has a
   * loopback interface. Resolves when the packet was handed to the system.
   */
  async multicast(packet: Uint8Array, local = false): Promise<void> {
    const senders = [...this.#senders.values()];
    const wanted = senders.filter((sender) => sender.loopback === local);
    const first = wanted.length > 0 ? wanted : senders;
    if (await this.#sendAll(first, packet)) return;
    // Nothing was sent, so at least reach the peers on this machine.
    const rest = local ? [] : senders.filter((sender) => !first.includes(sender));
    if (!(await this.#sendAll(rest, packet))) this.#report();
  }

  /** Replies to one querier. A failure is ignored, because the querier asks again. */
  unicast(packet: Uint8Array, port: number, host: string): void {
    this.#listener?.send(packet, port, host, () => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#opening;
    clearTimeout(this.#timer);
    await this.#closeSockets();
    this.#up = false;
  }

  async #sendAll(senders: readonly Sender[], packet: Uint8Array): Promise<boolean> {
    const { group, port } = this.#options;
    const results = await Promise.all(
      senders.map(
        (sender) =>
          new Promise<boolean>((resolve) => {
            if (sender.closed) return resolve(false);
            sender.socket.send(packet, port, group, (error) => {
              if (error !== null) this.#drop(sender);
              resolve(error === null);
            });
          }),
      ),
    );
    return results.includes(true);
  }

  async #reopen(): Promise<void> {
    clearTimeout(this.#timer);
    let reason: MicroError | undefined;
    try {
      this.#listener ??= await this.#listen();
      await this.#scan();
      this.#retryMs = firstRetryMs;
    } catch (error) {
      reason = asMicroError(error, "unavailable", { outcome: "not-executed" });
      await this.#closeSockets();
    }
    if (this.#closed) return;
    this.#report(reason);
    let delayMs = rescanMs;
    if (!this.#up) {
      delayMs = this.#retryMs * (0.5 + Math.random());
      this.#retryMs = Math.min(this.#retryMs * 2, rescanMs);
    }
    this.#timer = setTimeout(() => {
      this.#opening = this.#reopen();
    }, delayMs);
    this.#timer.unref();
  }

  #report(reason?: MicroError): void {
    const up = this.#listener !== undefined && this.#senders.size > 0;
    if (up === this.#up || this.#closed) return;
    this.#up = up;
    const lost = new MicroError("unavailable", "no network interface takes multicast packets");
    this.#handlers.change(up, up ? undefined : (reason ?? lost));
  }

  async #listen(): Promise<Socket> {
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    await bind(socket, this.#options.port, "0.0.0.0");
    try {
      socket.setRecvBufferSize(receiveBufferBytes);
    } catch {
      // The system keeps its default size; queries are repeated for packets lost because of it.
    }
    socket.on("error", () => {
      if (this.#listener !== socket) return;
      this.#listener = undefined;
      this.#joined.clear();
      socket.close();
      this.#report();
    });
    socket.on("message", (bytes, from) => this.#receive(bytes, from));
    return socket;
  }

  /** Opens new interfaces and closes those that are gone. */
  async #scan(): Promise<void> {
    const present = this.#interfaces();
    for (const [address, sender] of this.#senders) {
      if (!present.has(address)) this.#drop(sender);
    }
    for (const address of this.#joined) if (!present.has(address)) this.#joined.delete(address);
    for (const [address, info] of present) {
      if (!this.#joined.has(address)) {
        try {
          this.#listener?.addMembership(this.#options.group, address);
          this.#joined.add(address);
        } catch {
          // An interface without multicast, or a membership that outlived a change of address.
        }
      }
      if (!this.#senders.has(address)) await this.#openSender(address, info.internal);
    }
  }

  async #openSender(address: string, loopback: boolean): Promise<void> {
    const socket = createSocket({ type: "udp4" });
    const sender: Sender = { address, socket, loopback, port: 0, closed: false };
    try {
      await bind(socket, 0, address);
      socket.setMulticastInterface(address);
      socket.setMulticastLoopback(true);
      // The link-local block never leaves the link, and RFC 6762 requires 255 there; packets to
      // other groups might leave it.
      socket.setMulticastTTL(this.#options.group.startsWith("224.0.0.") ? 255 : 1);
    } catch {
      socket.close();
      return;
    }
    sender.port = socket.address().port;
    socket.on("error", () => this.#drop(sender));
    socket.on("message", (bytes, from) => this.#receive(bytes, from));
    this.#senders.set(address, sender);
  }

  #interfaces(): Map<string, NetworkInterfaceInfo> {
    const only = this.#options.interface;
    const present = new Map<string, NetworkInterfaceInfo>();
    this.#local = new Set();
    this.#attached = new BlockList();
    for (const [name, infos] of Object.entries(networkInterfaces())) {
      for (const info of infos ?? []) {
        if (info.family !== "IPv4") continue;
        this.#local.add(info.address);
        if (only !== undefined && only !== name && only !== info.address) continue;
        const prefix = Number(info.cidr?.split("/")[1] ?? 32);
        this.#attached.addSubnet(info.address, prefix, "ipv4");
        present.set(info.address, info);
      }
    }
    return present;
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    if (this.#closed) return;
    if (!this.#attached.check(from.address, "ipv4")) {
      this.#handlers.offLink();
      return;
    }
    // Multicasts come back to their sender, because other processes on this machine must receive
    // them.
    if (this.#senders.get(from.address)?.port === from.port) {
      this.#handlers.echo(bytes);
      return;
    }
    const local = this.#local.has(from.address) || from.address.startsWith("127.");
    this.#handlers.packet(bytes, { host: from.address, port: from.port, local });
  }

  #drop(sender: Sender): void {
    if (sender.closed) return;
    sender.closed = true;
    this.#senders.delete(sender.address);
    sender.socket.close();
    this.#report();
  }

  async #closeSockets(): Promise<void> {
    const sockets = [...this.#senders.values()].map(({ socket }) => socket);
    for (const sender of this.#senders.values()) sender.closed = true;
    if (this.#listener !== undefined) sockets.push(this.#listener);
    this.#listener = undefined;
    this.#senders.clear();
    this.#joined.clear();
    await Promise.all(
      sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
    // A socket reports that it is closed one turn of the event loop before the system's handle is.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Sender {
  readonly address: string;
  readonly socket: Socket;
  readonly loopback: boolean;
  port: number;
  closed: boolean;
}

function bind(socket: Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once("error", failed);
    socket.bind({ port, address, exclusive: false }, () => {
      socket.off("error", failed);
      resolve();
    });
  });
}
