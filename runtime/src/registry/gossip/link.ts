import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { MicroError } from "../../base/error.ts";
import type { Target } from "./datagram.ts";
import type { RequestFailure } from "./environment.ts";
import type { Keyring } from "./keyring.ts";
import type { Endpoint } from "./member-update.ts";
import { DatagramSealer } from "./sealed-datagram.ts";
import type { PacketCounters } from "./stats.ts";
import { sendRequest } from "./stream-client.ts";
import { type RefusalKind, StreamServer } from "./stream-server.ts";

/** Receives what arrives. Both throw for bytes that are not messages of the protocol. */
export interface LinkHandlers {
  receive(from: Target, payload: Buffer): void;
  serve(request: Buffer): Uint8Array | undefined;
  /** Called for each refused packet and connection. */
  refused(kind: RefusalKind, address: string): void;
}

export interface LinkOptions {
  readonly id: string;
  readonly host: string;
  /** Of both sockets. */
  readonly port: number;
  /** Whether any free port will do if this one is in use. */
  readonly anyPort: boolean;
  readonly keyring: Keyring;
  readonly counters: PacketCounters;
}

/** The UDP socket and the TCP server of a member, on the same port. */
export class GossipLink {
  readonly port: number;
  readonly #udp: UdpSocket;
  readonly #server: Server;
  readonly #sealer: DatagramSealer;
  readonly #keyring: Keyring;
  readonly #streams: StreamServer;
  readonly #requests = new Set<() => void>();
  readonly #isIpv6: boolean;
  #closed = false;

  private constructor(
    options: LinkOptions,
    handlers: LinkHandlers,
    sockets: { readonly udp: UdpSocket; readonly server: Server; readonly port: number },
  ) {
    const { keyring, counters } = options;
    this.port = sockets.port;
    this.#udp = sockets.udp;
    this.#server = sockets.server;
    this.#keyring = keyring;
    this.#isIpv6 = options.host.includes(":");
    this.#sealer = new DatagramSealer(options.id, keyring);
    this.#streams = new StreamServer({
      keyring,
      counters,
      serve: handlers.serve,
      onRefused: handlers.refused,
    });
    this.#server.on("connection", (socket) => this.#streams.accept(socket));
    this.#udp.on("message", (packet, { address, port }) => {
      counters.datagrams++;
      const opened = this.#sealer.open(packet);
      if ("refused" in opened) {
        counters[opened.refused]++;
        handlers.refused(opened.refused, address);
        return;
      }
      const host = address.replace(/^::ffff:(?=\d+\.)/, "").split("%")[0] ?? address;
      try {
        handlers.receive({ id: opened.from, host, port }, opened.payload);
      } catch {
        counters.malformed++;
        handlers.refused("malformed", address);
      }
    });
  }

  /** @throws MicroError `unavailable` when the port cannot be opened. */
  static async open(options: LinkOptions, handlers: LinkHandlers): Promise<GossipLink> {
    const ports = options.anyPort ? [options.port, 0, 0, 0] : [options.port];
    let failure: unknown;
    for (const port of ports) {
      try {
        return new GossipLink(options, handlers, await openSockets(options.host, port));
      } catch (error) {
        failure = error;
      }
    }
    throw new MicroError(
      "unavailable",
      `gossip cannot listen on ${options.host} port ${options.port}: ${(failure as Error).message}`,
      { outcome: "not-executed", cause: failure },
    );
  }

  send(to: Target, payload: Uint8Array): void {
    if (this.#closed) return;
    const host = this.#isIpv6 && !to.host.includes(":") ? `::ffff:${to.host}` : to.host;
    // A datagram that cannot be sent is a lost one; the protocol repeats what matters.
    this.#udp.send(this.#sealer.seal(to.id, payload), to.port, host, () => {});
  }

  request(
    to: Endpoint,
    message: Uint8Array,
    timeoutMs: number,
    done: (response: Uint8Array | undefined, failure?: RequestFailure) => void,
  ): void {
    if (this.#closed) {
      queueMicrotask(() => done(undefined));
      return;
    }
    const end = sendRequest({
      to,
      key: this.#keyring.first,
      message,
      timeoutMs,
      done: (response, failure) => {
        this.#requests.delete(end);
        done(response, failure);
      },
    });
    this.#requests.add(end);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#requests) end();
    this.#streams.close();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
      new Promise<void>((resolve) => this.#server.close(() => resolve())),
    ]);
  }
}

async function openSockets(
  host: string,
  port: number,
): Promise<{ readonly udp: UdpSocket; readonly server: Server; readonly port: number }> {
  const server = createServer();
  const udp = createSocket({ type: host.includes(":") ? "udp6" : "udp4" });
  try {
    server.listen({ host, port });
    await once(server, "listening");
    const address = server.address();
    const own = typeof address === "object" && address !== null ? address.port : port;
    udp.bind({ address: host, port: own });
    await once(udp, "listening");
    // Errors of single datagrams; those of the socket itself are met when it is opened.
    udp.on("error", () => {});
    server.on("error", () => {});
    // A program that only looks services up may end without closing.
    udp.unref();
    server.unref();
    return { udp, server, port: own };
  } catch (error) {
    server.close();
    udp.close();
    throw error;
  }
}
