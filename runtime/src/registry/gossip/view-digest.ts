import type { Member } from "./member-entry.ts";
import type { Membership } from "./membership.ts";
import type { RecordStore } from "./record-store.ts";

/**
 * A number of 32 bits that is equal for two members that know the same of the live members and
 * their records. Probes carry it, so that a lost update is noticed soon.
 */
export class ViewDigest {
  readonly #membership: Membership;
  readonly #records: RecordStore;
  #changes = -1;
  #digest = 0;

  constructor(membership: Membership, records: RecordStore) {
    this.#membership = membership;
    this.#records = records;
  }

  get value(): number {
    const changes = this.#membership.changes + this.#records.changes;
    if (changes !== this.#changes) {
      this.#changes = changes;
      let digest = this.#hash(this.#membership.self);
      for (const member of this.#membership.live) digest ^= this.#hash(member);
      this.#digest = digest >>> 0;
    }
    return this.#digest;
  }

  #hash({ id, hash, incarnation }: Member): number {
    const one = Math.imul(hash ^ incarnation, 0x85eb_ca6b);
    const other = Math.imul((one ^ (one >>> 15)) + this.#records.versionOf(id), 0xc2b2_ae35);
    return other ^ (other >>> 13);
  }
}
