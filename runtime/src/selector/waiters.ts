import { type Abortable, unwatchAbort, watchAbort } from "../base/abort-watch.ts";
import { type Deadline, remainingMs } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";

/** Maximum number of calls that wait for the first node of one service. */
export const maxWaiters = 16_384;

/** Options of one call's wait. */
export interface WaitOptions {
  readonly timeoutMs: number;
  readonly deadline: Deadline | undefined;
  readonly signal: AbortSignal | undefined;
  /** Such as `node of greeter`; used in error messages. */
  readonly what: string;
  /** The error of a wait that ran out of time before its deadline. */
  readonly missing: () => MicroError;
}

/** Calls that wait for a service to have a node. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next {@link wake}. @throws MicroError always `not-executed`. */
  wait(options: WaitOptions): Promise<void> {
    if (this.#waiting.size >= maxWaiters) {
      return Promise.reject(
        new MicroError(
          "resource_exhausted",
          `${maxWaiters} calls wait for a ${options.what} already`,
          { outcome: "not-executed" },
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(options, (error) => {
        this.#waiting.delete(waiter);
        if (error === undefined) resolve();
        else reject(error);
      });
      this.#waiting.add(waiter);
      if (options.signal !== undefined) watchAbort(options.signal, waiter);
    });
  }

  /** Ends every wait: rejects with the error, or resolves without one. */
  wake(error?: MicroError): void {
    for (const waiter of [...this.#waiting]) waiter.settle(error);
  }
}

class Waiter implements Abortable {
  readonly #what: string;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #settled: (error: MicroError | undefined) => void;

  constructor(options: WaitOptions, settled: (error: MicroError | undefined) => void) {
    const { timeoutMs, deadline, signal, what, missing } = options;
    this.#what = what;
    this.#signal = signal;
    this.#settled = settled;
    const leftMs = deadline === undefined ? Number.POSITIVE_INFINITY : remainingMs(deadline);
    this.#timer = setTimeout(
      () => this.settle(leftMs <= timeoutMs ? tooLate(what) : missing()),
      Math.max(0, Math.min(timeoutMs, leftMs)),
    );
  }

  aborted(reason: unknown): void {
    const timeout = asMicroError(reason, "canceled").code === "deadline_exceeded";
    this.settle(timeout ? tooLate(this.#what) : givenUp(this.#what, reason));
  }

  settle(error: MicroError | undefined): void {
    clearTimeout(this.#timer);
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this);
    this.#settled(error);
  }
}

function tooLate(what: string): MicroError {
  return new MicroError("deadline_exceeded", `no ${what} was found before the call's deadline`, {
    outcome: "not-executed",
  });
}

function givenUp(what: string, reason: unknown): MicroError {
  return new MicroError("canceled", `the call was cancelled while it waited for a ${what}`, {
    outcome: "not-executed",
    cause: reason,
  });
}
