import { type Abortable, unwatchAbort, watchAbort } from "../abort-watch.ts";
import { type Deadline, remainingMs } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { cancelled } from "./call-error.ts";

/** What a call waits for outside of a connection. */
export interface CallWait {
  readonly signal: AbortSignal | undefined;
  readonly deadline: Deadline;
  /** When it happens, for errors, such as `while it was dialled`. */
  readonly what: string;
}

/**
 * All that a client's calls wait for outside of connections: nodes, connections, the pause before a retry. A
 * call that succeeds at once waits for none of it.
 */
export class Waits {
  readonly #open = new Set<Wait>();
  #closed: MicroError | undefined;

  /** Resolves after a time. @throws MicroError `not-executed` when the signal fires before. */
  pause(ms: number, { signal, what }: CallWait): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin(signal, ms, what, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /**
   * Settles as the promise does, unless the signal or the deadline come first.
   * @param late takes what the promise brings when nobody waits for it any more.
   */
  until<T>(promise: Promise<T>, call: CallWait, late?: (value: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = this.#begin(call.signal, remainingMs(call.deadline), call.what, (error) =>
        reject(error ?? tooLate(call.what)),
      );
      promise.then(
        (value) => {
          if (!wait.end()) late?.(value);
          else resolve(value);
        },
        (reason) => {
          if (wait.end()) reject(reason);
        },
      );
    });
  }

  /** Ends every wait with this error, also those that begin later. */
  close(reason: MicroError): void {
    this.#closed = reason;
    for (const wait of [...this.#open]) wait.interrupt(reason);
  }

  #begin(
    signal: AbortSignal | undefined,
    ms: number,
    what: string,
    interrupted: (error: MicroError | undefined) => void,
  ): Wait {
    const wait: Wait = new Wait(signal, ms, what, this.#open, interrupted);
    if (signal?.aborted === true) wait.aborted(signal.reason);
    if (this.#closed !== undefined) wait.interrupt(this.#closed);
    return wait;
  }
}

/** `setTimeout` fires at once for anything longer. */
const longestTimerMs = 2 ** 31 - 1;

class Wait implements Abortable {
  readonly #signal: AbortSignal | undefined;
  readonly #what: string;
  readonly #open: Set<Wait>;
  readonly #interrupted: (error: MicroError | undefined) => void;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(
    signal: AbortSignal | undefined,
    ms: number,
    what: string,
    open: Set<Wait>,
    interrupted: (error: MicroError | undefined) => void,
  ) {
    this.#signal = signal;
    this.#what = what;
    this.#open = open;
    this.#interrupted = interrupted;
    if (ms < longestTimerMs) {
      this.#timer = setTimeout(() => this.interrupt(undefined), Math.max(0, Math.ceil(ms)));
    }
    if (signal !== undefined) watchAbort(signal, this);
    open.add(this);
  }

  aborted(reason: unknown): void {
    this.interrupt(cancelled(reason, this.#what, "not-executed"));
  }

  /** Ends the wait before what it is for; without an error because the time is up. */
  interrupt(error: MicroError | undefined): void {
    if (this.end()) this.#interrupted(error);
  }

  /** Ends the wait; false when it had ended before. */
  end(): boolean {
    if (!this.#open.delete(this)) return false;
    clearTimeout(this.#timer);
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this);
    return true;
  }
}

function tooLate(what: string): MicroError {
  return new MicroError("deadline_exceeded", `the deadline passed ${what}`, {
    outcome: "not-executed",
  });
}
