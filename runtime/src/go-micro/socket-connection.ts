import type { Socket } from "node:net";
import { asMicroError, type MicroError } from "../base/error.ts";
import { BodyDeadline } from "../transport/body-deadline.ts";
import type { TransportLimits } from "../transport/transport.ts";
import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";
import type { OutgoingHeader } from "./message.ts";
import { MessageReader } from "./message-reader.ts";
import { encodeRefusal, encodeRequest, encodeResponse } from "./message-writer.ts";
import { responseFailure } from "./response-failure.ts";

const nothing: Buffer = Buffer.alloc(0);

/**
 * How long a connection that ends may take to send its pending output, in milliseconds. A go-micro
 * client that has no call does not notice the end, so a server that closes always waits this long,
 * and gives its listeners no more than a second.
 */
const lingerMs = 500;

/** One connection of go-micro's HTTP transport, on either side. */
export class SocketConnection implements GoMicroConnection {
  readonly peer: string;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #reader: MessageReader;
  readonly #encode: (header: OutgoingHeader, body: Uint8Array) => Uint8Array;
  readonly #isClient: boolean;
  /** Runs while a message is incomplete. */
  readonly #deadline: BodyDeadline;
  #ending = false;
  /** No further messages are delivered, not even those already received. */
  #paused = false;
  #reading = false;
  /** Received data is discarded. */
  #deaf = false;

  /** @param host the dialed address, on the client's side. */
  constructor(
    socket: Socket,
    peer: string,
    limits: TransportLimits,
    owner: ConnectionOwner,
    host?: string,
  ) {
    this.peer = peer;
    this.#socket = socket;
    this.#owner = owner;
    this.#reader = new MessageReader({
      maxBodyBytes: limits.maxMessageBytes,
      ownPathOnly: host === undefined,
    });
    this.#encode =
      host === undefined ? encodeResponse : (header, body) => encodeRequest(host, header, body);
    this.#isClient = host !== undefined;
    this.#deadline = new BodyDeadline(limits.handshakeTimeoutMs, (error) => {
      this.#deaf = true;
      owner.broken(error);
    });
    socket.on("error", () => undefined);
    socket.on("data", this.#onData);
    socket.on("drain", this.#onDrain);
    socket.once("close", this.#onClose);
  }

  readonly #onData = (bytes: Buffer) => this.#read(bytes);
  readonly #onDrain = () => this.#owner.drained();
  readonly #onClose = () => {
    this.#deadline.end();
    this.#owner.closed();
  };

  get blocked(): boolean {
    return this.#socket.writableNeedDrain;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  send(header: OutgoingHeader, body: Uint8Array): void {
    if (!this.#ending && !this.#socket.destroyed) this.#socket.write(this.#encode(header, body));
  }

  refuse(status: string, text: string): void {
    if (!this.#ending) this.#socket.write(encodeRefusal(status, text));
    this.end();
  }

  pause(): void {
    this.#paused = true;
    // Nothing arrives because nothing is read.
    this.#deadline.end();
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#reader.foreign !== undefined) return;
    // A read in progress continues by itself.
    if (!this.#reading) this.#read(nothing);
    if (!this.#paused && !this.#ending && this.#reader.foreign === undefined) this.#socket.resume();
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#deaf = true;
    this.#deadline.end();
    this.#socket.end();
    // A connection with unread bytes would be reset, and its pending output lost.
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  /** Releases the socket to another protocol, after putting back that protocol's bytes. */
  #handOver(): Socket {
    const socket = this.#socket;
    this.#ending = true;
    socket.off("data", this.#onData);
    socket.off("drain", this.#onDrain);
    socket.off("close", this.#onClose);
    const { foreign } = this.#reader;
    if (foreign !== undefined && !socket.destroyed) socket.unshift(foreign);
    return socket;
  }

  #read(bytes: Buffer): void {
    if (this.#deaf) return;
    const { bodyBytes } = this.#reader;
    let completed = false;
    this.#reading = true;
    try {
      for (const message of this.#reader.read(bytes)) {
        completed = true;
        const failure = this.#isClient ? responseFailure(message) : undefined;
        if (failure !== undefined) {
          this.#refused(failure);
          return;
        }
        this.#owner.received(message);
        if (this.#deaf || this.#paused) return;
      }
    } catch (reason) {
      this.#deaf = true;
      this.#deadline.end();
      this.#owner.broken(asMicroError(reason));
      return;
    } finally {
      this.#reading = false;
    }
    if (this.#reader.foreign !== undefined) {
      this.#deaf = true;
      this.#deadline.end();
      this.#socket.pause();
      this.#owner.foreign?.(() => this.#handOver());
      return;
    }
    const received = this.#reader.bodyBytes - (completed ? 0 : bodyBytes);
    this.#watchDeadline(received, completed);
  }

  #refused(failure: MicroError): void {
    this.#deaf = true;
    this.#deadline.end();
    this.#owner.refused?.(failure);
  }

  /**
   * Requires each message to be complete in time. The deadline of a further message begins when the
   * one before it is complete.
   */
  #watchDeadline(bodyBytes: number, completed: boolean): void {
    if (completed) this.#deadline.end();
    if (!this.#reader.inMessage) return;
    if (!this.#deadline.running) this.#deadline.begin();
    this.#deadline.received(bodyBytes);
  }
}
