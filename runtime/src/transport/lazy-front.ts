import type { Socket } from "node:net";
import { MicroError } from "../error.ts";
import type { Front, WireProtocol } from "./front.ts";
import type { ListenOptions } from "./transport.ts";

/**
 * Loads what speaks a protocol with the first connection that does, so that a service without such callers starts
 * faster.
 */
export class LazyFront implements Front {
  readonly #load: () => Promise<Front>;
  readonly #options: ListenOptions;
  #loading: Promise<Front> | undefined;
  #front: Front | undefined;
  #waiting = 0;
  #draining = false;

  constructor(load: () => Promise<Front>, options: ListenOptions) {
    this.#load = load;
    this.#options = options;
  }

  get connections(): number {
    return (this.#front?.connections ?? 0) + this.#waiting;
  }

  get openCalls(): number {
    return this.#front?.openCalls ?? 0;
  }

  accept(socket: Socket, peerAddress: string, protocol: WireProtocol): void {
    if (this.#front !== undefined) this.#hand(this.#front, socket, peerAddress, protocol);
    else void this.#acceptLoading(socket, peerAddress, protocol);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    const front = await this.#loaded();
    await front?.drain();
  }

  async close(graceMs: number): Promise<void> {
    this.#draining = true;
    const front = await this.#loaded();
    await front?.close(graceMs);
  }

  async #acceptLoading(socket: Socket, peer: string, protocol: WireProtocol): Promise<void> {
    this.#waiting++;
    socket.on("error", () => undefined);
    this.#loading ??= this.#load();
    try {
      this.#front = await this.#loading;
      if (!socket.destroyed) this.#hand(this.#front, socket, peer, protocol);
    } catch (cause) {
      socket.destroy();
      this.#options.onConnectionError?.(
        new MicroError("internal", `what speaks ${protocol} could not be loaded`, { cause }),
        peer,
      );
    } finally {
      this.#waiting--;
    }
  }

  #hand(front: Front, socket: Socket, peer: string, protocol: WireProtocol): void {
    if (this.#draining) socket.destroy();
    else front.accept(socket, peer, protocol);
  }

  async #loaded(): Promise<Front | undefined> {
    return this.#loading?.catch(() => undefined);
  }
}
