import type { GossipEnvironment } from "./environment.ts";
import type { Membership } from "./membership.ts";
import type { GossipTiming } from "./timing.ts";

/** How many periods without a packet from another machine are silence. */
const silentPeriods = 3;
/** Of fewer members on other machines, silence means that they are gone. */
const leastOthers = 2;

/**
 * Notices that this member is cut off: a probe failed, and nothing arrives from any other machine,
 * although several members should be there. It cannot tell whether they live, so it holds what it
 * knows of them until it hears one of them again.
 */
export class Isolation {
  readonly #env: GossipEnvironment;
  readonly #timing: GossipTiming;
  readonly #membership: Membership;
  #heardAt: number;
  #missed = false;
  #since: number | undefined;

  constructor(env: GossipEnvironment, timing: GossipTiming, membership: Membership) {
    this.#env = env;
    this.#timing = timing;
    this.#membership = membership;
    this.#heardAt = env.now();
  }

  get isIsolated(): boolean {
    return this.#since !== undefined;
  }

  /** Something arrived that proves that another machine can be reached. */
  heard(host: string): void {
    if (host === this.#membership.self.host) return;
    this.restart(this.#env.now());
  }

  /** Begins to wait again, for example after a stall in which nothing was read. */
  restart(now: number): void {
    this.#heardAt = now;
    this.#missed = false;
    if (this.#since === undefined) return;
    // The others have their full time again: what they said meanwhile was not heard.
    this.#membership.extendSuspicions(now - this.#since + this.#timing.timeoutMs);
    this.#since = undefined;
    this.#membership.isHolding = false;
    this.#env.isolationChanged(false);
  }

  /** A probe of a member on another machine failed. */
  missed(now: number): void {
    this.#missed = true;
    this.check(now);
  }

  check(now: number): void {
    if (!this.#timing.lifeguard || this.#since !== undefined || !this.#missed) return;
    if (now - this.#heardAt < silentPeriods * this.#timing.periodMs) return;
    if (this.#membership.countOthers(leastOthers) < leastOthers) return;
    this.#since = now;
    this.#membership.isHolding = true;
    this.#env.isolationChanged(true);
  }
}
