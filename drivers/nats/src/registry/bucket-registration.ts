import { type RegistrationClaim, RenewedRegistration } from "@micro-es/runtime/driver";
import type { BucketEntry, NatsBucket } from "../link/bucket.ts";
import { type BucketFollower, BucketWatch } from "../link/bucket-watch.ts";
import { isWrongSequence } from "../link/failure.ts";
import { decodeRecord, encodeRecord, keyOf } from "./record.ts";
import { ServiceResponder } from "./service-responder.ts";

/** A node in the bucket, rewritten at each renewal. */
export class BucketRegistration extends RenewedRegistration implements BucketFollower {
  readonly #bucket: NatsBucket;
  readonly #key: string;
  readonly #record: Uint8Array;
  #revision = 0;
  #watch: BucketWatch | undefined;
  #responder: ServiceResponder | undefined;

  constructor(claim: RegistrationClaim, bucket: NatsBucket) {
    super(bucket.link, claim);
    const { node, ttlMs } = claim;
    this.#bucket = bucket;
    this.#key = keyOf(node);
    this.#record = encodeRecord({ node, ttlMs, owner: this.owner });
  }

  snapshot(entries: readonly BucketEntry[]): void {
    for (const entry of entries) this.change(entry);
  }

  change(entry: BucketEntry): void {
    if (entry.revision <= this.#revision || entry.deleted) return;
    try {
      if (decodeRecord(entry.key, entry.value).owner !== this.owner) this.lose();
    } catch {
      // Not a record, so no other registration took the node over; the next renewal replaces it.
    }
  }

  failed(): void {}

  protected override async write(): Promise<void> {
    const connection = await this.#bucket.link.open();
    if (this.isOver) return;
    // First, on the same connection: the responder is ready before the record can be found.
    this.#responder = new ServiceResponder(connection, this.node);
    await this.#put({});
  }

  protected override async written(): Promise<void> {
    this.#watch = new BucketWatch(this.#bucket, this.#key, this);
  }

  protected override ending(): void {
    this.#watch?.close();
    this.#responder?.close();
  }

  /** Rewrites the record if it is still ours, or gone. */
  protected override async renew(): Promise<void> {
    try {
      await this.#put({ ifRevision: this.#revision });
      return;
    } catch (error) {
      if (!isWrongSequence(error)) throw error;
    }
    const found = await this.#bucket.get(this.#key);
    if (found !== undefined && !found.deleted) this.change(found);
    if (this.isOver) return;
    await this.#put({ ifRevision: found?.revision ?? 0 });
  }

  protected override async withdraw(): Promise<void> {
    if (this.#revision === 0 || this.isTakenOver) return;
    try {
      await this.#bucket.delete(this.#key, { ifRevision: this.#revision });
    } catch (error) {
      // Another registration took the id over: the current record is its own.
      if (!isWrongSequence(error)) throw error;
    }
  }

  async #put(condition: { readonly ifRevision?: number }): Promise<void> {
    const asked = performance.now();
    this.#revision = await this.#bucket.put(this.#key, this.#record, condition);
    this.renewed(asked);
  }
}
