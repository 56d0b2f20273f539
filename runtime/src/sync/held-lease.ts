import { MicroError } from "../error.ts";
import type { LeaseClaim, Leases } from "./leases.ts";

/** The part of a ttl after which a lease counts as lost here, so that its holder knows before anybody else has it. */
const trustedPart = 0.9;
/** The longest delay of a Node timer. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * A lease that was granted: renews it, and says when it is lost. It is trusted from the moment its last renewal was
 * asked for, on this process's monotonic clock, which is earlier than the backend's reckoning.
 */
export class HeldLease {
  readonly claim: LeaseClaim;
  readonly token: bigint;
  readonly #what: string;
  readonly #leases: Leases;
  readonly #automatic: boolean;
  readonly #onEnd: (lease: HeldLease) => void;
  readonly #controller = new AbortController();
  #trustedUntil: number;
  #ending: Promise<boolean> | undefined;
  #renewing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param what names it in errors, such as `lock orders`.
   * @param asked when the grant was asked for, on the monotonic clock.
   */
  constructor(
    what: string,
    leases: Leases,
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

  /** Reading it after a pause says at once what the timer has not yet said. */
  get signal(): AbortSignal {
    if (!this.#over && !this.held) this.#lose("it was not renewed in time");
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

  /** Gives it back; false when it was lost before. */
  end(): Promise<boolean> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** Gives it back because of something else than its holder's wish. */
  async revoke(reason: string): Promise<void> {
    const held = this.held;
    this.#lose(reason);
    if (held) await this.#leases.release(this.claim).catch(() => false);
  }

  async #end(): Promise<boolean> {
    clearTimeout(this.#timer);
    const lost = this.#controller.signal.aborted || performance.now() >= this.#trustedUntil;
    this.#onEnd(this);
    // A renewal under way would take the lease again after its release.
    await this.#renewing?.catch(() => {});
    const released = await this.#leases.release(this.claim).catch(() => !lost);
    return released && !lost;
  }

  async #renew(): Promise<void> {
    if (!this.held) {
      if (!this.#over) this.#lose("it was not renewed in time");
      throw this.#lost();
    }
    const asked = performance.now();
    const mine = await this.#leases.renew(this.claim);
    if (!mine) this.#lose("another holder has it");
    if (!this.held) throw this.#lost();
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

  #lose(reason: string): void {
    if (this.#over) return;
    clearTimeout(this.#timer);
    this.#controller.abort(
      new MicroError(
        "aborted",
        `the ${this.#what} with token ${this.token} is lost: ${reason}; stop what it protects`,
      ),
    );
    this.#onEnd(this);
  }

  /** Wakes at the next renewal, or at the end of trust. */
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
      this.#lose("it was not renewed in time");
      return;
    }
    // A renewal that fails is tried again until trust ends; the state of the backend says why it fails.
    if (this.#automatic) this.renew().catch(() => {});
    this.#arm();
  }
}
