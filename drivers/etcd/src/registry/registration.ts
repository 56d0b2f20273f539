import { randomBytes, randomUUID } from "node:crypto";
import { asMicroError, type Logger, MicroError, type Node } from "@micro-es/runtime";
import { backoffMs, Closable, type Registration, untilAborted } from "@micro-es/runtime/driver";
import { type EtcdEntry, entryOf, type Snapshot, singleKey } from "../link/entries.ts";
import { isMemberFault } from "../link/failure.ts";
import type { EtcdLink } from "../link/link.ts";
import { leaseGrant, leaseKeepAlive, leaseRevoke, put, txn } from "../link/methods.ts";
import { atRevision, putOperation, rangeOperation } from "../link/txn.ts";
import type { EtcdWatch, EtcdWatches, WatchFollower } from "../link/watches.ts";
import { decodeRecord, encodeRecord, keyOf } from "./record.ts";

/** Spreads the renewals of all nodes after a reconnection. */
const reconnectSpreadMs = 500;
const missingSpreadMs = 100;
const retry = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** The longest time to live of a lease, in seconds; longer ones are renewed in time. */
const longestLeaseSeconds = 24 * 60 * 60;

/** Where a registration is stored, and what it depends on. */
export interface RegistrationPlace {
  readonly link: EtcdLink;
  readonly watches: EtcdWatches;
  readonly prefix: string;
  readonly logger: Logger;
}

/** A node's record in etcd, on a lease of its own that is renewed at each third of its ttl. */
export class EtcdRegistration extends Closable implements Registration, WatchFollower {
  readonly node: Node;
  readonly #place: RegistrationPlace;
  readonly #key: string;
  readonly #what: string;
  readonly #ttlMs: number;
  readonly #owner = randomUUID();
  readonly #record: Uint8Array;
  readonly #onClose: () => void;
  readonly #onTakenOver: (() => void) | undefined;
  readonly #closing = new AbortController();
  #lease = 0n;
  /** As granted by etcd, which may be longer than requested. */
  #grantedMs: number;
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** The revision that last wrote the record. */
  #revision = 0n;
  #takenOver = false;
  #failures = 0;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  /** The next renewal came due while one was in progress. */
  #isDue = false;
  /** etcd has no record of ours: the lease has ended, or the key was deleted. */
  #isMissing = false;
  #timer: NodeJS.Timeout | undefined;
  #watch: EtcdWatch | undefined;
  #forgetReconnect: (() => void) | undefined;

  constructor(
    node: Node,
    ttlMs: number,
    place: RegistrationPlace,
    onClose: () => void,
    onTakenOver: (() => void) | undefined,
  ) {
    super();
    this.node = node;
    this.#place = place;
    this.#key = keyOf(place.prefix, node);
    this.#what = `register ${node.id}`;
    this.#ttlMs = ttlMs;
    this.#grantedMs = ttlMs;
    this.#record = encodeRecord({ node, ttlMs, owner: this.#owner });
    this.#onClose = onClose;
    this.#onTakenOver = onTakenOver;
  }

  get active(): boolean {
    return !this.#ended && performance.now() - this.#renewedAt < this.#grantedMs;
  }

  /**
   * Publishes the node, replacing any previous owner of its id. Stops when the registration is
   * closed.
   */
  begin(): Promise<void> {
    const beginning = this.#begin();
    // Closing waits for it, so that it ends the lease that is being granted.
    this.#working = beginning.catch(() => {});
    return beginning;
  }

  snapshot({ entries }: Snapshot): void {
    const [entry] = entries;
    if (entry === undefined) this.#missing();
    else this.change(entry);
  }

  change(entry: EtcdEntry): void {
    if (this.#ended || entry.revision <= this.#revision) return;
    if (entry.deleted) this.#missing();
    else if (!this.#isOurs(entry)) this.#lose();
  }

  failed(): void {}

  /** Another registration of this process has taken the id. */
  replaced(): void {
    this.#takenOver = true;
    this.#stop();
  }

  protected override async closeOnce(): Promise<void> {
    this.#stop();
    this.#closing.abort();
    await this.#working;
    this.#onClose();
    await this.#revoke();
  }

  get #ended(): boolean {
    return this.#takenOver || this.isClosing;
  }

  async #begin(): Promise<void> {
    const { link, watches } = this.#place;
    const { signal } = this.#closing;
    await untilAborted(link.open(), signal);
    await this.#grant();
    if (this.#ended) return;
    const request = { key: singleKey(this.#key).key, value: this.#record, lease: this.#lease };
    const { header } = await link.call(put, request, this.#what, signal);
    this.#revision = header?.revision ?? 0n;
    if (this.#ended) return;
    this.#watch = watches.watch(singleKey(this.#key), this.#what, 1, this);
    this.#forgetReconnect = link.onReconnect(() =>
      this.#renewSoon(Math.random() * Math.min(reconnectSpreadMs, this.#grantedMs / 3)),
    );
    this.#renewSoon(this.#grantedMs / 3);
  }

  /**
   * Grants a new lease. We choose its id, so that a lease can be revoked even if the response was
   * lost.
   */
  async #grant(): Promise<void> {
    const seconds = Math.min(Math.ceil(this.#ttlMs / 1_000), longestLeaseSeconds);
    const { link } = this.#place;
    const { signal } = this.#closing;
    for (let attempt = 1; ; attempt++) {
      // A positive number of 63 bits.
      this.#lease = randomBytes(8).readBigUInt64BE() >> 1n || 1n;
      const asked = performance.now();
      const request = { TTL: BigInt(seconds), ID: this.#lease };
      try {
        // Not cancelled: a grant that arrives after its revocation would leave a lease.
        const { TTL } = await link.call(leaseGrant, request, this.#what);
        this.#grantedMs = Number(TTL) * 1_000;
        this.#renewedAt = asked;
        return;
      } catch (error) {
        // It is unknown whether it was granted; nothing is attached to it, so it ends by itself.
        if (signal.aborted || attempt > 1 || !isMemberFault(error)) throw error;
      }
    }
  }

  #lose(): void {
    if (this.#ended) return;
    this.#takenOver = true;
    this.#stop();
    this.#place.logger.warn(
      { node: this.node.id },
      "another process has registered this node's id",
    );
    this.#onTakenOver?.();
    // Nothing is attached to it any longer.
    void this.#working.then(() => this.#revoke());
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#watch?.close();
    this.#forgetReconnect?.();
  }

  #renewSoon(delayMs: number): void {
    if (this.#ended) return;
    if (this.#isWorking) {
      this.#isDue = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isWorking = true;
      this.#working = this.#renew().then((nextMs) => {
        this.#isWorking = false;
        this.#renewSoon(this.#isDue ? 0 : nextMs);
        this.#isDue = false;
      });
    }, delayMs);
    this.#timer.unref();
  }

  #missing(): void {
    this.#isMissing = true;
    // All leases of a cluster may have ended together.
    this.#renewSoon(Math.random() * missingSpreadMs);
  }

  /** @returns when to renew next, in milliseconds. */
  async #renew(): Promise<number> {
    try {
      const isAlive = await this.#keepAlive();
      if (!isAlive || this.#isMissing) await this.#registerAgain(isAlive);
      if (this.#failures > 0 && !this.#ended) {
        this.#place.logger.info({ node: this.node.id }, "the registration is renewed again");
      }
      this.#failures = 0;
      return this.#grantedMs / 3;
    } catch (error) {
      if (this.#ended) return 0;
      if (++this.#failures === 1) {
        this.#place.logger.warn(
          { node: this.node.id, error: asMicroError(error) },
          "could not renew a registration; trying again",
        );
      }
      return backoffMs(retry, this.#failures, Math.random);
    }
  }

  /** Renews the lease; false when it has ended. */
  async #keepAlive(): Promise<boolean> {
    const asked = performance.now();
    const request = { ID: this.#lease };
    const { link } = this.#place;
    const { signal } = this.#closing;
    const { TTL } = await link.exchange(leaseKeepAlive, request, `renew ${this.node.id}`, signal);
    if (TTL <= 0n) return false;
    this.#grantedMs = Number(TTL) * 1_000;
    this.#renewedAt = asked;
    return true;
  }

  /**
   * Writes the record if there is none; a record with another owner is left alone, because that
   * registration now has the id.
   */
  async #registerAgain(hasLease: boolean): Promise<void> {
    if (!hasLease) await this.#grant();
    const found = await this.#putIf(0n);
    if (found === undefined) return;
    if (!this.#isOurs(found)) this.#lose();
    // Ours, from a request whose response was lost; it may be attached to a lease that has ended.
    else if ((await this.#putIf(found.revision)) !== undefined) this.#missing();
  }

  /**
   * Writes the record if the key was last written at this revision, 0 for never.
   * @returns the conflicting entry; undefined if the record was written.
   */
  async #putIf(revision: bigint): Promise<EtcdEntry | undefined> {
    const { key } = singleKey(this.#key);
    const request = {
      compare: [atRevision(key, revision)],
      success: [putOperation(key, this.#record, this.#lease)],
      failure: [rangeOperation(key)],
    };
    const written = await this.#place.link.call(txn, request, this.#what, this.#closing.signal);
    const response = written.responses[0]?.response;
    if (response?.case === "responseRange") {
      const [kv] = response.value.kvs;
      if (kv !== undefined) return entryOf(kv, false);
      throw new MicroError("aborted", "the key was deleted meanwhile", { outcome: "not-executed" });
    }
    this.#revision = written.header?.revision ?? 0n;
    this.#isMissing = false;
    return undefined;
  }

  #isOurs({ key, value }: EtcdEntry): boolean {
    try {
      return decodeRecord(this.#place.prefix, key, value).owner === this.#owner;
    } catch {
      // Not a record, so no other registration has taken the id over.
      return true;
    }
  }

  /**
   * Ends the lease, and with it the record, unless another registration's record has replaced it:
   * that is attached to another lease.
   */
  async #revoke(): Promise<void> {
    const lease = this.#lease;
    this.#lease = 0n;
    if (lease === 0n || !this.#place.link.connected) return;
    const what = `deregister ${this.node.id}`;
    try {
      await this.#place.link.call(leaseRevoke, { ID: lease }, what);
    } catch (error) {
      const reason = asMicroError(error);
      // It has already ended, or was never granted.
      if (reason.code === "not_found") return;
      this.#place.logger.warn(
        { node: this.node.id, error: reason },
        "could not deregister; the ttl will",
      );
    }
  }
}
