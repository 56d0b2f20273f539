import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger, Node } from "@micro-es/runtime";
import type { Registration } from "@micro-es/runtime/driver";
import { Closable, untilAborted } from "@micro-es/runtime/driver";
import type { BucketEntry, NatsBucket } from "../link/bucket.ts";
import { type BucketFollower, BucketWatch } from "../link/bucket-watch.ts";
import { isWrongSequence, natsFailure } from "../link/failure.ts";
import { decodeRecord, encodeRecord, keyOf } from "./record.ts";
import { ServiceResponder } from "./service-responder.ts";

/**
 * A registration is renewed at least at this interval, well within the maximum age of the bucket's
 * entries.
 */
const longestRenewalMs = 10 * 60_000;
/** Spreads the renewals of all nodes after a reconnection. */
const reconnectSpreadMs = 500;

/** A node in the bucket, rewritten at each third of its ttl. */
export class BucketRegistration extends Closable implements Registration, BucketFollower {
  readonly node: Node;
  readonly #bucket: NatsBucket;
  readonly #key: string;
  readonly #ttlMs: number;
  readonly #owner = randomUUID();
  readonly #record: Uint8Array;
  readonly #logger: Logger;
  readonly #onClose: () => void;
  readonly #onTakenOver: (() => void) | undefined;
  readonly #closing = new AbortController();
  #revision = 0;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #takenOver = false;
  #working: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #watch: BucketWatch | undefined;
  #responder: ServiceResponder | undefined;
  #forgetReconnect: (() => void) | undefined;

  constructor(
    node: Node,
    ttlMs: number,
    bucket: NatsBucket,
    logger: Logger,
    onClose: () => void,
    onTakenOver: (() => void) | undefined,
  ) {
    super();
    this.node = node;
    this.#bucket = bucket;
    this.#key = keyOf(node);
    this.#ttlMs = ttlMs;
    this.#record = encodeRecord({ node, ttlMs, owner: this.#owner });
    this.#logger = logger;
    this.#onClose = onClose;
    this.#onTakenOver = onTakenOver;
  }

  get active(): boolean {
    const fresh = performance.now() - this.#renewedAt < this.#ttlMs;
    return fresh && !this.#ended;
  }

  /**
   * Publishes the node, replacing any previous owner of its id. Stops when the registration is
   * closed.
   */
  begin(): Promise<void> {
    const beginning = this.#begin();
    // Closing waits for it, so that it deletes what is being written.
    this.#working = beginning.catch(() => {});
    return beginning;
  }

  snapshot(entries: readonly BucketEntry[]): void {
    for (const entry of entries) this.change(entry);
  }

  change(entry: BucketEntry): void {
    if (entry.revision <= this.#revision || entry.deleted) return;
    try {
      if (decodeRecord(entry.key, entry.value).owner !== this.#owner) this.#lose();
    } catch {
      // Not a record, so no other registration took the node over; the next renewal replaces it.
    }
  }

  failed(): void {}

  /** Another registration of this process has taken the id. */
  replaced(): void {
    this.#takenOver = true;
    this.#stop();
  }

  protected override async closeOnce(): Promise<void> {
    const takenOver = this.#takenOver;
    this.#stop();
    this.#closing.abort();
    await this.#working;
    this.#onClose();
    const written = this.#revision > 0;
    if (!written || takenOver || this.#takenOver || !this.#bucket.link.connected) return;
    try {
      await this.#bucket.delete(this.#key, { ifRevision: this.#revision });
    } catch (error) {
      // Another registration took the id over: the current record is its own. Otherwise the lease
      // ends it.
      if (isWrongSequence(error)) return;
      this.#logger.warn({ node: this.node.id, error }, "could not deregister; the ttl will");
    }
  }

  async #begin(): Promise<void> {
    const connection = await untilAborted(this.#bucket.link.open(), this.#closing.signal);
    if (this.#ended) return;
    // First, on the same connection: the responder is ready before the record can be found.
    this.#responder = new ServiceResponder(connection, this.node);
    await this.#put(undefined);
    if (this.#ended) return;
    this.#watch = new BucketWatch(this.#bucket, this.#key, this);
    this.#forgetReconnect = this.#bucket.link.onReconnect(() =>
      this.#schedule(Math.random() * Math.min(reconnectSpreadMs, this.#ttlMs / 3)),
    );
    this.#schedule(this.#interval());
  }

  get #ended(): boolean {
    return this.#takenOver || this.isClosing;
  }

  #lose(): void {
    if (this.#ended) return;
    this.#takenOver = true;
    this.#stop();
    this.#logger.warn({ node: this.node.id }, "another process has registered this node's id");
    this.#onTakenOver?.();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#watch?.close();
    this.#responder?.close();
    this.#forgetReconnect?.();
  }

  #interval(): number {
    return Math.min(this.#ttlMs / 3, longestRenewalMs);
  }

  #schedule(delayMs: number): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#working = this.#renew().then((renewed) =>
        this.#schedule(renewed ? this.#interval() : Math.min(1_000, this.#interval())),
      );
    }, delayMs);
    this.#timer.unref();
  }

  /** Rewrites the record if it is still ours, or gone; false if that has to be retried soon. */
  async #renew(): Promise<boolean> {
    try {
      try {
        await this.#put(this.#revision);
        return true;
      } catch (error) {
        if (!isWrongSequence(error)) throw error;
      }
      const found = await this.#bucket.get(this.#key);
      if (found !== undefined && !found.deleted) this.change(found);
      if (this.#ended) return true;
      await this.#put(found?.revision ?? 0);
      return true;
    } catch (error) {
      if (!this.#closing.signal.aborted && this.#bucket.link.connected) {
        const reason = natsFailure(error, `renew node ${this.node.id}`);
        this.#logger.warn({ node: this.node.id, error: reason }, "could not renew a registration");
        await sleep(50, undefined, { ref: false, signal: this.#closing.signal }).catch(() => {});
      }
      return false;
    }
  }

  async #put(ifRevision: number | undefined): Promise<void> {
    const asked = performance.now();
    this.#revision = await this.#bucket.put(
      this.#key,
      this.#record,
      ifRevision === undefined ? {} : { ifRevision },
    );
    this.#renewedAt = asked;
  }
}
