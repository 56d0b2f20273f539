import { type GossipTiming, suspicionMinMs } from "./timing.ts";

/** How often a suspect learns of the suspicion before it ends. */
const reminders = 4;

/**
 * The time that a suspect has to refute. It begins long and falls with each other member that
 * suspects it too, so that one slow process cannot quickly declare others dead.
 */
export class Suspicion {
  readonly #by = new Set<string>();
  readonly #wanted: number;
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #remindMs: number;
  #since: number;
  #latest: string;
  #remindersLeft: number;

  /** @param members the number of members, this one included. */
  constructor(timing: GossipTiming, members: number, now: number, by: string) {
    const wanted = timing.confirmations;
    this.#wanted = timing.lifeguard && members - 2 >= wanted ? wanted : 0;
    this.#minMs = suspicionMinMs(timing, members);
    this.#maxMs = timing.suspicionMaxFactor * this.#minMs;
    this.#remindMs = timing.timeoutMs;
    this.#remindersLeft = timing.lifeguard ? reminders : 0;
    this.#since = now;
    this.#by.add(by);
    this.#latest = by;
  }

  /** The member whose suspicion is passed on. */
  get latest(): string {
    return this.#latest;
  }

  get endsAt(): number {
    if (this.#wanted === 0) return this.#since + this.#minMs;
    const confirmations = this.#by.size - 1;
    const fallen = Math.log(confirmations + 1) / Math.log(this.#wanted + 1);
    return this.#since + Math.max(this.#minMs, this.#maxMs - (this.#maxMs - this.#minMs) * fallen);
  }

  /**
   * When the suspect is to be told next, so that a refutation that was lost is repeated; infinity
   * if it was told often enough.
   */
  get remindAt(): number {
    if (this.#remindersLeft === 0) return Number.POSITIVE_INFINITY;
    return this.endsAt - this.#remindersLeft * this.#remindMs;
  }

  reminded(): void {
    this.#remindersLeft--;
  }

  /** Whether enough members suspect it for the shortest time. */
  get isConfirmed(): boolean {
    return this.#by.size > this.#wanted;
  }

  /** Counts a confirmation; false if it changes nothing. */
  confirm(by: string): boolean {
    if (this.isConfirmed || this.#by.has(by)) return false;
    this.#by.add(by);
    this.#latest = by;
    return true;
  }

  /** Does not count time in which this process could not hear a refutation. */
  extend(ms: number): void {
    this.#since += ms;
  }
}
