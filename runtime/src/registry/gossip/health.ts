const worst = 7;

/**
 * How well this process itself seems to run, from 0 (well) to 7: Lifeguard's local health. A
 * process that misses acknowledgements probably has a problem of its own, so it probes less often
 * and waits longer.
 */
export class LocalHealth {
  readonly #enabled: boolean;
  #score = 0;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  get score(): number {
    return this.#score;
  }

  /** Changes the score: upwards for what went wrong. */
  add(points: number): void {
    if (this.#enabled) this.#score = Math.min(worst, Math.max(0, this.#score + points));
  }

  /** A duration, stretched by the score. */
  stretch(ms: number): number {
    return ms * (1 + this.#score);
  }
}
