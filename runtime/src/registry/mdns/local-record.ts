import type { Deadline } from "../../base/deadline.ts";
import { isLocalAddress } from "../../base/local-address.ts";
import type { Node } from "../registry.ts";
import { encodeAnnouncement, type Instance } from "./packet.ts";
import type { SeenInstance } from "./read-packet.ts";

/** How a node is announced. */
export interface LocalLease {
  readonly ttlMs: number;
  readonly revision: number;
  readonly onTakenOver: (() => void) | undefined;
}

/** A node that this registry announces. */
export class LocalRecord {
  readonly node: Node;
  readonly ttlMs: number;
  readonly onTakenOver: (() => void) | undefined;
  /** Other machines cannot reach the node, so it is not announced to them. */
  readonly local: boolean;
  announcements = 0;
  announceAt: Deadline;
  probes = 0;
  probeAt: Deadline;
  /**
   * When it is announced with a revision above {@link contradictedBy}, because another process
   * contradicted it.
   */
  renewAt: Deadline = Number.POSITIVE_INFINITY;
  renewedAt: Deadline = Number.NEGATIVE_INFINITY;
  contradictedBy: number = Number.NEGATIVE_INFINITY;
  #revision: number;
  #instance: Instance;
  #announcement: Buffer;

  constructor(node: Node, instance: Instance, { ttlMs, revision, onTakenOver }: LocalLease) {
    const now = performance.now();
    this.node = node;
    this.local = isLocalAddress(node.address);
    this.ttlMs = ttlMs;
    this.onTakenOver = onTakenOver;
    this.announceAt = now;
    this.probeAt = now;
    this.#revision = revision;
    this.#instance = instance;
    this.#announcement = encodeAnnouncement(instance);
  }

  get revision(): number {
    return this.#revision;
  }

  get instance(): Instance {
    return this.#instance;
  }

  get announcement(): Buffer {
    return this.#announcement;
  }

  /** Replaces the announced records. */
  renew(instance: Instance, revision: number): void {
    this.#revision = revision;
    this.#instance = instance;
    this.#announcement = encodeAnnouncement(instance);
  }

  /** Whether a received instance matches this record. */
  says({ port, host, text }: SeenInstance): boolean {
    const own = this.#instance;
    return (
      port === own.port && host === (own.ipv4 ?? own.ipv6) && text.equals(Buffer.concat(own.text))
    );
  }
}
