import { MicroError } from "../base/error.ts";
import type { LeaseBackend, LeaseClaim } from "./lease-backend.ts";

/**
 * The fraction of a ttl after which a lease counts as lost locally, so that its holder knows before
 * another one gets it.
 */
const trustedPart = 0.9;
/** The longest delay of a Node timer. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * A granted lease: renews it, and reports when it is lost. It is trusted from the moment when its
 * last renewal was requested, on this process's monotonic clock, which is earlier than the
 * backend's time.
 */
export class HeldLease {
  readonly claim: LeaseClaim;
  readonly token: bigint;
  readonly #what: string;
  readonly #leases: LeaseBackend;
  readonly #automatic: boolean;
  readonly #onEnd: (lease: HeldLease) => void;
  readonly #controller = new AbortController();
  #trustedUntil: number;
  #ending: Promise<boolean> | undefined;
  #renewing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param what names it in errors, such as `lock orders`.
   * @param asked when the grant was requested, on the monotonic clock.
   */
  constructor(
    what: string,
    leases: LeaseBackend,
    claim: LeaseClaim,
    token: bigint,
    asked: number,
    automatic: boolean,
    onEnd: (lease: HeldLease) => void,
  ) {
    this.#what = what;
    this.#leases = leases;
    this.claim = claim;
    this.token = token;
    this.#automatic = automatic;
    this.#onEnd = onEnd;
    this.#trustedUntil = asked + claim.ttlMs * trustedPart;
    this.#arm();
  }

  get held(): boolean {
    return !this.#over && performance.now() < this.#trustedUntil;
  }

  /** Reading it after a pause detects an expiry that the timer has not yet reported. */
  get signal(): AbortSignal {
    if (!this.#over && !this.held) this.#invalidate("it was not renewed in time");
    return this.#controller.signal;
  }

  get #over(): boolean {
    return this.#ending !== undefined || this.#controller.signal.aborted;
  }

  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Releases it; false if it was lost before. */
  end(): Promise<boolean> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /**
   * Releases it for a reason other than its holder's request. Resolves when no change of it is in
   * progress.
   */
  async revoke(reason: string): Promise<void> {
    this.#invalidate(reason);
    if (this.#ending === undefined) await this.#release();
    else await this.#ending;
  }

  async #end(): Promise<boolean> {
    clearTimeout(this.#timer);
    const lost = this.#controller.signal.aborted || performance.now() >= this.#trustedUntil;
    const released = await this.#release();
    this.#onEnd(this);
    return (released ?? !lost) && !lost;
  }

  /**
   * Ends the lease in the backend. False if it no longer belonged to this claim; undefined if that
   * cannot be determined, in which case its ttl ends it.
   */
  async #release(): Promise<boolean | undefined> {
    // A renewal in progress would take the lease again after its release.
    await this.#renewing?.catch(() => {});
    return this.#leases.release(this.claim).catch(() => undefined);
  }

  async #renew(): Promise<void> {
    if (!this.held) {
      if (!this.#over) this.#invalidate("it was not renewed in time");
      throw this.#lost();
    }
    const asked = performance.now();
    const mine = await this.#leases.renew(this.claim);
    if (!mine) this.#invalidate("another holder has it");
    if (!this.held) {
      // Renewed too late for this holder, the lease would only keep out the next one. end()
      // releases it by itself.
      if (mine && this.#ending === undefined)
        await this.#leases.release(this.claim).catch(() => {});
      throw this.#lost();
    }
    this.#trustedUntil = Math.max(this.#trustedUntil, asked + this.claim.ttlMs * trustedPart);
    this.#arm();
  }

  #lost(): MicroError {
    const reason: unknown = this.#controller.signal.reason;
    return reason instanceof MicroError
      ? reason
      : new MicroError("aborted", `cannot renew the ${this.#what}: it was given back`, {
          outcome: "not-executed",
        });
  }

  #invalidate(reason: string): void {
    if (this.#over) return;
    clearTimeout(this.#timer);
    this.#controller.abort(
      new MicroError(
        "aborted",
        `the ${this.#what} with token ${this.token} is lost: ${reason}; stop what it protects`,
      ),
    );
    // Closing the sync waits for anything that may still take the lease again.
    void Promise.resolve(this.#renewing?.catch(() => {})).then(() => this.#onEnd(this));
  }

  /** Sets the timer for the next renewal, or for the end of trust. */
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const left = this.#trustedUntil - performance.now();
    const delay = this.#automatic ? Math.min(left, this.claim.ttlMs / 3) : left;
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(0, delay), longestTimerMs));
    this.#timer.unref();
  }

  #wake(): void {
    if (!this.held) {
      this.#invalidate("it was not renewed in time");
      return;
    }
    // A failed renewal is retried until trust ends; the backend's state reports the reason.
    if (this.#automatic) this.renew().catch(() => {});
    this.#arm();
  }
}
