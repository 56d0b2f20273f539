import { randomBytes } from "node:crypto";
import { asMicroError, MicroError } from "@micro-es/runtime";
import { type RegistrationClaim, RenewedRegistration } from "@micro-es/runtime/driver";
import { type EtcdEntry, entryOf, type Snapshot, singleKey } from "../link/entries.ts";
import { isMemberFault } from "../link/failure.ts";
import type { EtcdLink } from "../link/link.ts";
import { leaseGrant, leaseKeepAlive, leaseRevoke, put, txn } from "../link/methods.ts";
import { atRevision, putOperation, rangeOperation } from "../link/txn.ts";
import type { EtcdWatch, EtcdWatches, WatchFollower } from "../link/watches.ts";
import { decodeRecord, encodeRecord, keyOf } from "./record.ts";

const missingSpreadMs = 100;
/** The longest time to live of a lease, in seconds; longer ones are renewed in time. */
const longestLeaseSeconds = 24 * 60 * 60;

/** A node's record in etcd, on a lease of its own. */
export class EtcdRegistration extends RenewedRegistration implements WatchFollower {
  readonly #link: EtcdLink;
  readonly #watches: EtcdWatches;
  readonly #prefix: string;
  readonly #key: string;
  readonly #record: Uint8Array;
  #lease = 0n;
  /** The revision that last wrote the record. */
  #revision = 0n;
  /** etcd has no record of ours: the lease has ended, or the key was deleted. */
  #isMissing = false;
  #watch: EtcdWatch | undefined;

  constructor(claim: RegistrationClaim, link: EtcdLink, watches: EtcdWatches, prefix: string) {
    super(link, claim);
    this.#link = link;
    this.#watches = watches;
    this.#prefix = prefix;
    this.#key = keyOf(prefix, claim.node);
    this.#record = encodeRecord({ node: claim.node, ttlMs: claim.ttlMs, owner: this.owner });
  }

  snapshot({ entries }: Snapshot): void {
    const [entry] = entries;
    if (entry === undefined) this.#missing();
    else this.change(entry);
  }

  change(entry: EtcdEntry): void {
    if (this.isOver || entry.revision <= this.#revision) return;
    if (entry.deleted) this.#missing();
    else if (!this.#isOurs(entry)) this.lose();
  }

  failed(): void {}

  protected override async write(signal: AbortSignal): Promise<void> {
    await this.#grant(signal);
    if (this.isOver) return;
    const request = { key: singleKey(this.#key).key, value: this.#record, lease: this.#lease };
    // Not cancelled: it could replace the record of a registration that replaces this one.
    const { header } = await this.#link.call(put, request, this.what);
    this.#revision = header?.revision ?? 0n;
  }

  protected override async written(): Promise<void> {
    this.#watch = this.#watches.watch(singleKey(this.#key), this.what, 1, this);
  }

  protected override ending(): void {
    this.#watch?.close();
  }

  protected override async renew(signal: AbortSignal): Promise<void> {
    const isAlive = await this.#keepAlive(signal);
    if (!isAlive || this.#isMissing) await this.#registerAgain(isAlive, signal);
  }

  /**
   * Ends the lease, and with it the record, unless another registration's record has replaced it:
   * that is attached to another lease.
   */
  protected override async withdraw(): Promise<void> {
    if (this.#lease === 0n) return;
    try {
      await this.#link.call(leaseRevoke, { ID: this.#lease }, `deregister ${this.node.id}`);
    } catch (error) {
      // It has already ended, or was never granted.
      if (asMicroError(error).code !== "not_found") throw error;
    }
    this.#lease = 0n;
  }

  /**
   * Grants a new lease. We choose its id, so that a lease can be revoked even if the response was
   * lost.
   */
  async #grant(signal: AbortSignal): Promise<void> {
    const seconds = Math.min(Math.ceil(this.ttlMs / 1_000), longestLeaseSeconds);
    for (let attempt = 1; ; attempt++) {
      // A positive number of 63 bits.
      this.#lease = randomBytes(8).readBigUInt64BE() >> 1n || 1n;
      const asked = performance.now();
      const request = { TTL: BigInt(seconds), ID: this.#lease };
      try {
        // Not cancelled: a grant that arrives after its revocation would leave a lease.
        const { TTL } = await this.#link.call(leaseGrant, request, this.what);
        this.renewed(asked, Number(TTL) * 1_000);
        return;
      } catch (error) {
        // It is unknown whether it was granted; nothing is attached to it, so it ends by itself.
        if (signal.aborted || attempt > 1 || !isMemberFault(error)) throw error;
      }
    }
  }

  #missing(): void {
    this.#isMissing = true;
    // All leases of a cluster may have ended together.
    this.renewSoon(Math.random() * missingSpreadMs);
  }

  /** Renews the lease; false when it has ended. */
  async #keepAlive(signal: AbortSignal): Promise<boolean> {
    const asked = performance.now();
    const request = { ID: this.#lease };
    const what = `renew ${this.node.id}`;
    const { TTL } = await this.#link.exchange(leaseKeepAlive, request, what, signal);
    if (TTL <= 0n) return false;
    this.renewed(asked, Number(TTL) * 1_000);
    return true;
  }

  /**
   * Writes the record if there is none; a record with another owner is left alone, because that
   * registration now has the id.
   */
  async #registerAgain(hasLease: boolean, signal: AbortSignal): Promise<void> {
    if (!hasLease) await this.#grant(signal);
    const found = await this.#putIf(0n, signal);
    if (found === undefined) return;
    if (!this.#isOurs(found)) this.lose();
    // Ours, from a request whose response was lost; it may be attached to a lease that has ended.
    else if ((await this.#putIf(found.revision, signal)) !== undefined) this.#missing();
  }

  /**
   * Writes the record if the key was last written at this revision, 0 for never.
   * @returns the conflicting entry; undefined if the record was written.
   */
  async #putIf(revision: bigint, signal: AbortSignal): Promise<EtcdEntry | undefined> {
    const { key } = singleKey(this.#key);
    const request = {
      compare: [atRevision(key, revision)],
      success: [putOperation(key, this.#record, this.#lease)],
      failure: [rangeOperation(key)],
    };
    const written = await this.#link.call(txn, request, this.what, signal);
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
      return decodeRecord(this.#prefix, key, value).owner === this.owner;
    } catch {
      // Not a record, so no other registration has taken the id over.
      return true;
    }
  }
}
