/**
 * A point in time on this process's monotonic clock, in milliseconds since the process began. It is
 * never sent: processes exchange the remaining time, so a skewed wall clock changes nothing.
 * `Infinity` means no deadline.
 */
export type Deadline = number;

/** The current time on the clock that deadlines are measured by. */
export function monotonicNow(): Deadline {
  return performance.now();
}

/**
 * How many readings of {@link turnNow} share one reading of the clock, so that time advances during
 * a long turn.
 */
const readingsPerLook = 64;
let turnTime: Deadline = 0;
let readingsLeft = 0;
let turnEnds = false;

/**
 * The approximate time at which this turn of the event loop began. For hot paths where reading the
 * clock for each call would show; not for times that a user asked for.
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

/** Deadlines closer than this are compared with the clock itself, in milliseconds. */
const nearMs = 1_000;

/** Whether a deadline has passed. Reads the clock only for a deadline that is close. */
export function hasPassed(deadline: Deadline): boolean {
  return deadline - turnNow() < nearMs && deadline <= performance.now();
}

function endTurn(): void {
  turnEnds = false;
  readingsLeft = 0;
}

/**
 * The deadline this many milliseconds from now.
 *
 * @example
 * ```ts
 * import { deadlineAfter, remainingMs } from "@micro-es/runtime";
 *
 * const deadline = deadlineAfter(2_000);
 * remainingMs(deadline); // at most 2,000
 * ```
 */
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
 * One timer for any number of deadlines. The owner keeps its pending operations; the sweep wakes it
 * at the earliest deadline, and the owner returns the next one. A call therefore costs a comparison
 * instead of a timer.
 *
 * The timer does not keep the process alive.
 */
export class DeadlineSweep {
  readonly #expire: (now: number) => Deadline;
  readonly #minimumDelayMs: number;
  #wakeAt: Deadline = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param expire ends the operations due at `now` and returns the earliest remaining deadline, or
   * Infinity.
   * @param minimumDelayMs the least time between two sweeps, so that many close deadlines share
   * one.
   */
  constructor(expire: (now: number) => Deadline, minimumDelayMs = 1) {
    this.#expire = expire;
    this.#minimumDelayMs = minimumDelayMs;
  }

  /** Ensures that the owner is woken at this deadline at the latest. */
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
