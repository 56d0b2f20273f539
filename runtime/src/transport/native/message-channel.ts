import type { Socket } from "node:net";
import { listenForAbort } from "../../base/abort.ts";
import { Closable } from "../../base/closable.ts";
import { remainingMs } from "../../base/deadline.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import { dialCancelled, dialTooLate } from "../dial-limits.ts";
import type { Channel, DialOptions, Listener, TransportLimits } from "../transport.ts";
import { ClientConnection } from "./client-connection.ts";
import type { MessageSocket } from "./message-socket.ts";
import type { NativeListener } from "./native-listener.ts";

/**
 * Opens a channel over a socket that is connecting.
 * @param ask sends the request that the listener accepts.
 * @throws MicroError `unavailable`, or that of the signal or the deadline.
 */
export async function openMessageChannel(
  socket: MessageSocket,
  address: string,
  limits: TransportLimits,
  { signal, deadline = Number.POSITIVE_INFINITY }: DialOptions,
  ask: () => void,
): Promise<Channel> {
  const patienceMs = remainingMs(deadline);
  const channel = new ClientConnection(socket as unknown as Socket, address, limits);
  channel.greet();
  ask();
  let givenUp: MicroError | undefined;
  const giveUp = (reason: MicroError) => {
    givenUp = reason;
    channel.end(reason);
    socket.destroy();
  };
  const stopListening = listenForAbort(signal, (reason) => giveUp(dialCancelled(address, reason)));
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(dialTooLate(address)), Math.ceil(patienceMs))
      : undefined;
  try {
    await channel.ready;
    if (givenUp !== undefined) throw givenUp;
    return channel;
  } catch (reason) {
    if (givenUp !== undefined) throw givenUp;
    const { message } = asMicroError(reason);
    throw new MicroError("unavailable", `cannot dial ${address}: ${message}`, {
      outcome: "not-executed",
      cause: reason,
    });
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** A listener whose connections come as messages of a backend. */
export class MessageListener extends Closable<[graceMs?: number]> implements Listener {
  readonly address: string;
  readonly #native: NativeListener;
  readonly #stop: () => Promise<void>;
  #stopped: Promise<void> | undefined;

  /** @param stop ends the arrival of connections; called once, and must not reject. */
  constructor(address: string, native: NativeListener, stop: () => Promise<void>) {
    super();
    this.address = address;
    this.#native = native;
    this.#stop = stop;
    native.address = address;
  }

  get connections(): number {
    return this.#native.connections;
  }

  get openCalls(): number {
    return this.#native.openCalls;
  }

  async drain(): Promise<void> {
    await Promise.all([this.#end(), this.#native.drain()]);
  }

  #end(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    await this.#end();
    await this.#native.close(graceMs);
  }
}
