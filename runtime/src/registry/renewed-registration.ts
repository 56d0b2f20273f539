import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { untilAborted } from "../base/abort.ts";
import { backoffMs } from "../base/backoff.ts";
import { Closable } from "../base/closable.ts";
import { deadlineAfter } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import type { BackendLink } from "../base/linked-part.ts";
import type { Logger } from "../base/logger.ts";
import type { Node, Registration } from "./registry.ts";

/** Spreads the renewals of all nodes after a reconnection. */
const reconnectSpreadMs = 500;
const retry = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** How long a deregistration waits for another member of the backend to take over. */
const failoverMs = 2_000;
/** Records without an end of their own stay young enough to be kept. */
const longestRenewalMs = 10 * 60_000;

/** A node to be registered. */
export interface RegistrationClaim {
  readonly node: Node;
  readonly ttlMs: number;
  readonly logger: Logger;
  /** Names the attempted operation in a failure of the backend. */
  readonly failure: (error: unknown, what: string) => MicroError;
  readonly onClose: () => void;
  readonly onTakenOver: (() => void) | undefined;
}

/**
 * A node's record in a backend, renewed at each third of its ttl. A driver says how to write, renew
 * and delete it.
 */
export abstract class RenewedRegistration extends Closable implements Registration {
  readonly node: Node;
  /** Distinguishes this registration from others of the id. */
  protected readonly owner: string = randomUUID();
  protected readonly ttlMs: number;
  /** Names the registration in errors. */
  protected readonly what: string;
  readonly #link: BackendLink;
  readonly #claim: RegistrationClaim;
  readonly #closing = new AbortController();
  #leaseMs: number;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #isTakenOver = false;
  #isReplaced = false;
  /** A record may have been written. */
  #mayExist = false;
  #failures = 0;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  /** The next renewal came due while one was in progress. */
  #isDue = false;
  #timer: NodeJS.Timeout | undefined;
  #forgetReconnect: (() => void) | undefined;

  constructor(link: BackendLink, claim: RegistrationClaim) {
    super();
    this.node = claim.node;
    this.ttlMs = claim.ttlMs;
    this.what = `register ${claim.node.id}`;
    this.#link = link;
    this.#claim = claim;
    this.#leaseMs = claim.ttlMs;
  }

  get active(): boolean {
    return !this.isOver && performance.now() - this.#renewedAt < this.#leaseMs;
  }

  /**
   * Publishes the node, replacing any previous owner of its id. Stops when the registration is
   * closed.
   * @param before what must be over first: requests of a previous registration of the id.
   */
  begin(before: Promise<void>): Promise<void> {
    const beginning = this.#begin(before);
    // Closing waits for it, so that it deletes what is being written.
    this.#working = beginning.catch(() => {});
    return beginning;
  }

  /** Another registration of this process has taken the id. Resolves when no request is left. */
  async replaced(): Promise<void> {
    this.#isReplaced = true;
    this.#isTakenOver = true;
    this.#stop();
    this.#closing.abort();
    await (this.isClosing ? this.close() : this.#working);
  }

  /** Writes the record, whoever has the id, and calls {@link renewed}. */
  protected abstract write(signal: AbortSignal): Promise<void>;

  /**
   * Renews the record and calls {@link renewed}. Writes it again where it is gone; where it has
   * another owner, calls {@link lose} instead.
   */
  protected abstract renew(signal: AbortSignal): Promise<void>;

  /**
   * Deletes the record unless another registration has replaced it, and whatever else was made for
   * it.
   */
  protected abstract withdraw(): Promise<void>;

  /**
   * Called after the first write, for example to follow the record. The node is registered when it
   * resolves; the record is being renewed meanwhile.
   */
  protected async written(_signal: AbortSignal): Promise<void> {}

  /** Called when the registration ends; ends what {@link written} began. */
  protected ending(): void {}

  /** Whether another registration has the id. */
  protected get isTakenOver(): boolean {
    return this.#isTakenOver;
  }

  /** Whether it was closed, or another registration has the id. */
  protected get isOver(): boolean {
    return this.#isTakenOver || this.isClosing;
  }

  /**
   * The record is the backend's.
   * @param asked when that was requested.
   * @param leaseMs how long the backend keeps it, in milliseconds. Default: its ttl.
   */
  protected renewed(asked: number, leaseMs: number = this.ttlMs): void {
    this.#renewedAt = asked;
    this.#leaseMs = leaseMs;
  }

  /** Another process has the id. */
  protected lose(): void {
    if (this.isOver) return;
    this.#isTakenOver = true;
    this.#stop();
    this.#claim.logger.warn(
      { node: this.node.id },
      "another process has registered this node's id",
    );
    this.#claim.onTakenOver?.();
  }

  /** Renews the record after this delay, or after the renewal in progress. */
  protected renewSoon(delayMs: number): void {
    if (this.isOver) return;
    if (this.#isWorking) {
      this.#isDue = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isWorking = true;
      const before = this.#working;
      const renewing = this.#renew().then((nextMs) => {
        this.#isWorking = false;
        this.renewSoon(this.#isDue ? 0 : nextMs);
        this.#isDue = false;
      });
      this.#working = Promise.all([before, renewing]).then(() => {});
    }, delayMs);
    this.#timer.unref();
  }

  protected override async closeOnce(): Promise<void> {
    this.#stop();
    this.#closing.abort();
    await this.#working;
    if (this.#mayExist) await this.#withdraw();
    this.#claim.onClose();
  }

  /** Deletes the record, for a while also during a failover; after that its ttl ends it. */
  async #withdraw(): Promise<void> {
    const { logger, failure } = this.#claim;
    const ends = deadlineAfter(failoverMs);
    for (let failures = 1; ; failures++) {
      try {
        if (!this.#link.connected) throw new MicroError("unavailable", "there is no connection");
        return await this.withdraw();
      } catch (error) {
        const reason = failure(error, `deregister ${this.node.id}`);
        // What replaces it writes over it.
        if (this.#isReplaced) return;
        const waitMs = backoffMs(retry, failures, Math.random);
        const isFinal = reason.code !== "unavailable" || this.#link.closed;
        if (isFinal || performance.now() + waitMs >= ends) {
          logger.warn({ node: this.node.id, error: reason }, "could not deregister; the ttl will");
          return;
        }
        await sleep(waitMs);
      }
    }
  }

  get #renewalMs(): number {
    return Math.min(this.#leaseMs / 3, longestRenewalMs);
  }

  async #begin(before: Promise<void>): Promise<void> {
    const { signal } = this.#closing;
    await before;
    try {
      await untilAborted(this.#link.open(), signal);
      if (this.isOver) return;
      this.#mayExist = true;
      await this.write(signal);
      if (this.isOver) return;
      this.#forgetReconnect = this.#link.onReconnect(() =>
        this.renewSoon(Math.random() * Math.min(reconnectSpreadMs, this.#renewalMs)),
      );
      this.renewSoon(this.#renewalMs);
      await this.written(signal);
    } catch (error) {
      // Its wait was ended by the registration that replaces it.
      if (!this.#isReplaced) throw error;
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#forgetReconnect?.();
    this.ending();
  }

  /** @returns when to renew next, in milliseconds. */
  async #renew(): Promise<number> {
    const { logger, failure } = this.#claim;
    try {
      await this.renew(this.#closing.signal);
      if (this.#failures > 0 && !this.isOver) {
        logger.info({ node: this.node.id }, "the registration is renewed again");
      }
      this.#failures = 0;
      return this.#renewalMs;
    } catch (error) {
      if (this.isOver) return 0;
      if (++this.#failures === 1) {
        const reason = failure(error, `renew ${this.node.id}`);
        logger.warn(
          { node: this.node.id, error: reason },
          "could not renew a registration; trying again",
        );
      }
      return backoffMs(retry, this.#failures, Math.random);
    }
  }
}
