import type { Peer, PeerCertificate } from "./call.ts";

/** Returns an object for the connection of a peer, the same one for every protocol on it. */
export function connectionOf(peer: Peer): object {
  return peer instanceof ConnectionPeer ? peer.connection : peer;
}

/** The kinds of calls counted per connection: unary calls, and streams. */
export type CallKind = "calls" | "streams";

/**
 * The caller at the other end of a connection, with the number of the connection's running
 * handlers.
 */
export class ConnectionPeer implements Peer {
  readonly address: string;
  readonly transport: string;
  // Private, so that handlers and logs see a plain peer.
  readonly #atWork: Record<CallKind, number>;
  readonly #certificate: PeerCertificate | undefined;

  /**
   * @param certificate of the client
   * @param sharing the peer of the same connection for calls of another protocol
   */
  constructor(
    address: string,
    transport: string,
    certificate?: PeerCertificate,
    sharing?: ConnectionPeer,
  ) {
    this.address = address;
    this.transport = transport;
    this.#certificate = certificate;
    this.#atWork = sharing === undefined ? { calls: 0, streams: 0 } : sharing.#atWork;
  }

  get certificate(): PeerCertificate | undefined {
    return this.#certificate;
  }

  /** An object that all peers of the same connection share. */
  get connection(): object {
    return this.#atWork;
  }

  atWork(kind: CallKind): number {
    return this.#atWork[kind];
  }

  /** Adds to or subtracts from the count, and returns the result. */
  count(kind: CallKind, change: 1 | -1): number {
    this.#atWork[kind] += change;
    return this.#atWork[kind];
  }
}
