import type { Socket } from "node:net";
import { asMicroError, MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";
import type { GoMicroLink, LinkOwner } from "./link.ts";
import type { OutgoingHeader } from "./message.ts";
import { MessageReader } from "./message-reader.ts";
import { encodeAnswer, encodeRefusal, encodeRequest } from "./message-writer.ts";

/** How long a connection that ends may take to send what was written, in milliseconds. */
const lingerMs = 1_000;

/** One connection of go-micro's HTTP transport, of either side. */
export class SocketLink implements GoMicroLink {
  readonly peer: string;
  readonly #socket: Socket;
  readonly #owner: LinkOwner;
  readonly #reader: MessageReader;
  readonly #encode: (header: OutgoingHeader, body: Uint8Array) => Uint8Array;
  readonly #stalledAfterMs: number;
  /** Runs while a message is incomplete. */
  #stalled: NodeJS.Timeout | undefined;
  #ending = false;
  /** What comes is thrown away. */
  #deaf = false;

  /** @param host the address that was dialled, on the side that did. */
  constructor(
    socket: Socket,
    peer: string,
    limits: TransportLimits,
    owner: LinkOwner,
    host?: string,
  ) {
    this.peer = peer;
    this.#socket = socket;
    this.#owner = owner;
    this.#reader = new MessageReader({ maxBodyBytes: limits.maxMessageBytes });
    this.#encode =
      host === undefined ? encodeAnswer : (header, body) => encodeRequest(host, header, body);
    this.#stalledAfterMs = limits.handshakeTimeoutMs;
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => this.#read(bytes));
    socket.on("drain", () => owner.drained());
    socket.once("close", () => {
      clearTimeout(this.#stalled);
      owner.closed();
    });
  }

  get blocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  send(header: OutgoingHeader, body: Uint8Array): void {
    if (!this.#ending && !this.#socket.destroyed) this.#socket.write(this.#encode(header, body));
  }

  /** Answers what is no message with a status of HTTP, and closes. */
  refuse(status: string, text: string): void {
    if (!this.#ending) this.#socket.write(encodeRefusal(status, text));
    this.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#deaf = true;
    clearTimeout(this.#stalled);
    this.#socket.end();
    // A connection with unread bytes would be reset, and what was written lost with it.
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#deaf) return;
    try {
      for (const message of this.#reader.read(bytes)) {
        this.#owner.received(message);
        if (this.#deaf) return;
      }
    } catch (reason) {
      this.#deaf = true;
      clearTimeout(this.#stalled);
      this.#owner.broken(asMicroError(reason));
      return;
    }
    this.#watchStall();
  }

  /** A header must come whole in time; a body must go on coming. */
  #watchStall(): void {
    if (!this.#reader.inMessage) {
      clearTimeout(this.#stalled);
      this.#stalled = undefined;
    } else if (this.#stalled === undefined) {
      this.#stalled = setTimeout(() => this.#stall(), this.#stalledAfterMs).unref();
    } else if (!this.#reader.inHeader) {
      this.#stalled.refresh();
    }
  }

  #stall(): void {
    this.#deaf = true;
    this.#owner.broken(
      new MicroError("deadline_exceeded", `a message stopped for ${this.#stalledAfterMs} ms`, {
        outcome: "not-executed",
      }),
    );
  }
}
