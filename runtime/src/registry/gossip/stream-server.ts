import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import {
  clientHelloBytes,
  randomBytesOfHello,
  readClientHello,
  serverHello,
  streamKeys,
} from "./handshake.ts";
import type { Keyring } from "./keyring.ts";
import { ChunkOpener, ChunkSealer } from "./sealed-chunks.ts";
import type { PacketCounters } from "./stats.ts";

/** Maximum number of connections that have not yet proved that they have the key. */
const maxStrangers = 256;
/** Maximum number of those from one address. */
const maxStrangersPerAddress = 64;
/** Maximum number of connections. */
const maxConnections = 512;
/** How long a connection may take to prove that it has the key, in milliseconds. */
const strangerMs = 3_000;
/** How long a connection may last, in milliseconds. */
const connectionMs = 15_000;

export type RefusalKind =
  | "malformed"
  | "laterVersion"
  | "foreignKey"
  | "forged"
  | "replayed"
  | "connections";

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  /** The first bytes, until the hello is complete. */
  hello: Buffer;
  opener: ChunkOpener | undefined;
  sealer: ChunkSealer | undefined;
  timer: NodeJS.Timeout;
}

/**
 * Serves one request on each connection. A peer that has not proved that it has the key costs a
 * socket and at most one chunk of memory, for a few seconds.
 */
export class StreamServer {
  readonly #keyring: Keyring;
  readonly #counters: PacketCounters;
  readonly #serve: (request: Buffer) => Uint8Array | undefined;
  readonly #onRefused: (kind: RefusalKind, address: string) => void;
  readonly #connections = new Set<Connection>();
  readonly #strangers = new Set<Connection>();

  /** @param parts.serve throws for a request that is not a message of the protocol. */
  constructor(parts: {
    readonly keyring: Keyring;
    readonly counters: PacketCounters;
    readonly serve: (request: Buffer) => Uint8Array | undefined;
    readonly onRefused: (kind: RefusalKind, address: string) => void;
  }) {
    this.#keyring = parts.keyring;
    this.#counters = parts.counters;
    this.#serve = parts.serve;
    this.#onRefused = parts.onRefused;
  }

  accept(socket: Socket): void {
    const address = socket.remoteAddress ?? "";
    // Errors of a connection end it; `close` follows.
    socket.on("error", () => {});
    if (!this.#hasRoom(address)) {
      this.#counters.refusedConnections++;
      this.#onRefused("connections", address);
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => this.#timeOut(connection), strangerMs);
    timer.unref();
    const rest = { hello: Buffer.alloc(0), opener: undefined, sealer: undefined };
    const connection: Connection = { socket, address, timer, ...rest };
    this.#connections.add(connection);
    this.#strangers.add(connection);
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#take(connection, bytes));
    socket.on("close", () => {
      clearTimeout(connection.timer);
      this.#connections.delete(connection);
      this.#strangers.delete(connection);
    });
  }

  close(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  /** Whether another connection fits; the oldest stranger makes room for a new one. */
  #hasRoom(address: string): boolean {
    if (this.#connections.size >= maxConnections) return false;
    let fromAddress = 0;
    for (const stranger of this.#strangers) if (stranger.address === address) fromAddress++;
    if (fromAddress >= maxStrangersPerAddress) return false;
    if (this.#strangers.size >= maxStrangers) {
      const [oldest] = this.#strangers;
      if (oldest !== undefined) this.#timeOut(oldest);
    }
    return true;
  }

  #timeOut(connection: Connection): void {
    if (this.#strangers.delete(connection)) this.#counters.refusedConnections++;
    connection.socket.destroy();
  }

  #take(connection: Connection, bytes: Buffer): void {
    const { socket, address } = connection;
    try {
      const rest = connection.opener === undefined ? this.#greet(connection, bytes) : bytes;
      if (rest.length === 0 || connection.opener === undefined) return;
      const request = connection.opener.push(rest);
      if (connection.opener.isAuthenticated && this.#strangers.delete(connection)) {
        clearTimeout(connection.timer);
        connection.timer = setTimeout(() => this.#timeOut(connection), connectionMs);
        connection.timer.unref();
      }
      if (request !== undefined) this.#respond(connection, request);
    } catch {
      const isMember = connection.opener?.isAuthenticated === true;
      const kind = isMember ? "malformed" : "forged";
      this.#counters[kind]++;
      this.#onRefused(kind, address);
      socket.destroy();
    }
  }

  /** Reads the client's hello and sends the server's. Returns the bytes after it. */
  #greet(connection: Connection, bytes: Buffer): Buffer {
    const { socket, address } = connection;
    const hello = connection.hello.length === 0 ? bytes : Buffer.concat([connection.hello, bytes]);
    connection.hello = hello;
    if (hello.length < clientHelloBytes) return Buffer.alloc(0);
    const client = readClientHello(hello.subarray(0, clientHelloBytes), this.#keyring);
    if ("refused" in client) {
      this.#counters[client.refused]++;
      this.#onRefused(client.refused, address);
      socket.destroy();
      return Buffer.alloc(0);
    }
    const random = randomBytes(randomBytesOfHello);
    const keys = streamKeys(client.key, client.random, random);
    connection.opener = new ChunkOpener(keys.toServer);
    connection.sealer = new ChunkSealer(keys.toClient);
    socket.write(serverHello(random));
    return hello.subarray(clientHelloBytes);
  }

  #respond({ socket, sealer }: Connection, request: Buffer): void {
    const response = this.#serve(request);
    if (response === undefined || sealer === undefined) socket.destroy();
    else socket.end(sealer.seal(response));
  }
}
