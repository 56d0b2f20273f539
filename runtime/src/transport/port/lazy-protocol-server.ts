import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import type { ListenOptions } from "../transport.ts";
import type { ExchangeHandler, ProtocolServer, WireProtocol } from "./protocol-server.ts";

/**
 * Loads a protocol server with the first connection that needs it, so that a service without such
 * callers starts faster.
 */
export class LazyProtocolServer implements ProtocolServer {
  readonly #name: string;
  readonly #load: () => Promise<ProtocolServer>;
  readonly #options: ListenOptions;
  #loading: Promise<ProtocolServer> | undefined;
  #server: ProtocolServer | undefined;
  #waiting = 0;
  #draining = false;

  /** @param name of the protocol, for error messages. */
  constructor(name: string, load: () => Promise<ProtocolServer>, options: ListenOptions) {
    this.#name = name;
    this.#load = load;
    this.#options = options;
  }

  get connections(): number {
    return (this.#server?.connections ?? 0) + this.#waiting;
  }

  get openCalls(): number {
    return this.#server?.openCalls ?? 0;
  }

  accept(socket: Socket, peerAddress: string, protocol: WireProtocol): void {
    if (this.#server !== undefined) this.#hand(this.#server, socket, peerAddress, protocol);
    else void this.#acceptLoading(socket, peerAddress, protocol);
  }

  readonly exchange: ExchangeHandler = (request, response, peer) => {
    this.#loading ??= this.#load();
    this.#loading.then(
      (server) => {
        this.#server = server;
        server.exchange?.(request, response, peer);
      },
      (cause: unknown) => {
        response.destroy();
        this.#failed(cause, peer.address);
      },
    );
  };

  renew(): void {
    this.#server?.renew();
  }

  async drain(): Promise<void> {
    this.#draining = true;
    const server = await this.#loaded();
    await server?.drain();
  }

  async close(graceMs: number): Promise<void> {
    this.#draining = true;
    const server = await this.#loaded();
    await server?.close(graceMs);
  }

  async #acceptLoading(socket: Socket, peer: string, protocol: WireProtocol): Promise<void> {
    this.#waiting++;
    socket.on("error", () => undefined);
    this.#loading ??= this.#load();
    try {
      this.#server = await this.#loading;
      if (!socket.destroyed) this.#hand(this.#server, socket, peer, protocol);
    } catch (cause) {
      socket.destroy();
      this.#failed(cause, peer);
    } finally {
      this.#waiting--;
    }
  }

  #hand(server: ProtocolServer, socket: Socket, peer: string, protocol: WireProtocol): void {
    if (this.#draining) socket.destroy();
    else server.accept(socket, peer, protocol);
  }

  #failed(cause: unknown, peer: string): void {
    this.#options.onConnectionError?.(
      new MicroError("internal", `cannot load the protocol ${this.#name}`, { cause }),
      peer,
    );
  }

  async #loaded(): Promise<ProtocolServer | undefined> {
    return this.#loading?.catch(() => undefined);
  }
}
