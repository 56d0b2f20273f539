import { asMicroError, MicroError } from "@micro-es/runtime";
import type { ExpiryClock } from "@micro-es/runtime/driver";
import type { EtcdLink } from "../link/link.ts";
import { leaseGrant } from "../link/methods.ts";

interface SharedLease {
  readonly id: Promise<bigint>;
  /** How many writes have used it. */
  uses: number;
}

/** The ends of leases are at least this far apart, in milliseconds. */
const finestMs = 15_000;
/** A lease ends at least this part of the ttl after a record, and at most twice as much. */
const coarseness = 16;
/** How long a lease outlives its records, in milliseconds: other readers' clocks may be behind. */
const marginMs = 15_000;
/** etcd deletes all keys of a lease in one transaction. */
const maxUses = 1_000;
/** The longest lease that etcd grants, in milliseconds. */
const longestMs = 9_000_000_000_000;
/** Leases that are over are forgotten once there are this many. */
const maxKnown = 64;

/**
 * The leases with which expired records are removed from etcd. Readers judge by themselves whether
 * a record has expired, so records with a similar expiry share one.
 */
export class ExpiryLeases {
  readonly #link: EtcdLink;
  readonly #clock: ExpiryClock;
  /** By their end, on the clock. */
  readonly #leases = new Map<number, SharedLease>();

  constructor(link: EtcdLink, clock: ExpiryClock) {
    this.#link = link;
    this.#clock = clock;
  }

  /**
   * A lease that ends some time after a record that expires then; 0 if etcd grants none that long.
   * @throws MicroError as {@link EtcdLink.call}, not executed.
   */
  async leaseFor(expiresAt: number, what: string): Promise<bigint> {
    const now = this.#clock.now();
    const steps = Math.max(0, Math.ceil(Math.log2((expiresAt - now) / coarseness / finestMs)));
    const stepMs = finestMs * 2 ** steps;
    const endsAt = Math.ceil(expiresAt / stepMs) * stepMs;
    const ttlMs = endsAt - now + marginMs;
    if (ttlMs > longestMs) return 0n;
    const known = this.#leases.get(endsAt);
    if (known !== undefined && known.uses < maxUses) {
      known.uses++;
      return known.id;
    }
    this.#forgetOver(now);
    const lease = { id: this.#grant(ttlMs, what), uses: 1 };
    this.#leases.set(endsAt, lease);
    lease.id.catch(() => this.#forget(lease));
    return lease.id;
  }

  /** Forgets a lease that etcd does not have, so that the next record gets another one. */
  async lost(id: bigint): Promise<void> {
    for (const lease of this.#leases.values()) {
      if ((await lease.id.catch(() => undefined)) === id) this.#forget(lease);
    }
  }

  async #grant(ttlMs: number, what: string): Promise<bigint> {
    try {
      const request = { TTL: BigInt(Math.ceil(ttlMs / 1_000)) };
      return (await this.#link.call(leaseGrant, request, what)).ID;
    } catch (error) {
      // Whether there is a lease is unknown, but certainly nothing was written with it.
      const { code, message } = asMicroError(error);
      throw new MicroError(code, message, { outcome: "not-executed", cause: error });
    }
  }

  #forget(lease: SharedLease): void {
    for (const [endsAt, each] of this.#leases) if (each === lease) this.#leases.delete(endsAt);
  }

  #forgetOver(now: number): void {
    if (this.#leases.size < maxKnown) return;
    for (const endsAt of this.#leases.keys()) if (endsAt < now) this.#leases.delete(endsAt);
  }
}
