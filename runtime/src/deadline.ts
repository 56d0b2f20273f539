/**
 * A point in time on this process's monotonic clock, in milliseconds since the process began.
 * It never travels: between processes the remaining time does, so a skewed wall clock changes nothing.
 * `Infinity` means no deadline.
 */
export type Deadline = number;

/** The time on the clock that deadlines are measured by. */
export function monotonicNow(): Deadline {
  return performance.now();
}

/** Readings of {@link turnNow} that one look at the clock serves, so that a long turn does not stand still. */
const readingsPerLook = 64;
let turnTime: Deadline = 0;
let readingsLeft = 0;
let turnEnds = false;

/**
 * The time at about which this turn of the event loop began: what a hot path takes where a look at the clock for each
 * call would show. Not for a time that a user has asked for.
 */
export function turnNow(): Deadline {
  if (readingsLeft > 0) {
    readingsLeft--;
    return turnTime;
  }
  turnTime = performance.now();
  readingsLeft = readingsPerLook - 1;
  if (!turnEnds) {
    turnEnds = true;
    process.nextTick(endTurn);
  }
  return turnTime;
}

/** Deadlines nearer than this are compared with the clock itself, in milliseconds. */
const nearMs = 1_000;

/** Whether a deadline has passed. Only one that is near costs a look at the clock. */
export function hasPassed(deadline: Deadline): boolean {
  return deadline - turnNow() < nearMs && deadline <= performance.now();
}

function endTurn(): void {
  turnEnds = false;
  readingsLeft = 0;
}

/** The deadline this many milliseconds from now. */
export function deadlineAfter(ms: number): Deadline {
  return performance.now() + ms;
}

/** Milliseconds until a deadline, negative once it has passed. */
export function remainingMs(deadline: Deadline): number {
  return deadline - performance.now();
}

/** `setTimeout` fires at once for anything longer than this, about 24.8 days. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * One timer for any number of deadlines. The owner keeps its waiting operations; the sweep only wakes
 * it at the earliest deadline, and the owner answers with the next one. So a call costs a comparison
 * and not a timer.
 *
 * The timer does not keep the process alive.
 */
export class DeadlineSweep {
  readonly #expire: (now: number) => Deadline;
  readonly #minimumDelayMs: number;
  #wakeAt: Deadline = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param expire ends what is due at `now` and returns the earliest deadline that is left, or Infinity.
   * @param minimumDelayMs the least time between two sweeps, so that many close deadlines share one.
   */
  constructor(expire: (now: number) => Deadline, minimumDelayMs = 1) {
    this.#expire = expire;
    this.#minimumDelayMs = minimumDelayMs;
  }

  /** Sees to it that the owner is woken at this deadline at the latest. */
  watch(deadline: Deadline): void {
    if (deadline < this.#wakeAt) this.#arm(deadline);
  }

  /** Stops the timer. A later `watch` starts it again. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  #arm(deadline: Deadline): void {
    clearTimeout(this.#timer);
    this.#wakeAt = deadline;
    const delay = Math.max(this.#minimumDelayMs, deadline - performance.now());
    this.#timer = setTimeout(() => this.#sweep(), Math.min(Math.ceil(delay), longestTimerMs));
    this.#timer.unref();
  }

  #sweep(): void {
    this.#timer = undefined;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    const next = this.#expire(performance.now());
    if (next !== Number.POSITIVE_INFINITY) this.watch(next);
  }
}
