import { type Abortable, unwatchAbort, watchAbort } from "../base/abort-watch.ts";
import { type Deadline, remainingMs } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { cancelled } from "./call-error.ts";

/** A call's wait for something other than a response. */
export interface CallWait {
  readonly signal: AbortSignal | undefined;
  readonly deadline: Deadline;
  /** Describes the wait for errors, such as `while it was dialled`. */
  readonly what: string;
}

/**
 * All waits of a client's calls other than for responses: for nodes, for connections, and for the
 * delay before a retry. A call that succeeds immediately needs none of them.
 */
export class CancellableWaits {
  readonly #open = new Set<Wait>();
  #closed: MicroError | undefined;

  /** Resolves after a delay. @throws MicroError `not-executed` when the signal aborts first. */
  pause(ms: number, { signal, what }: CallWait): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin(signal, ms, what, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /**
   * Settles as the promise does, unless the signal or the deadline comes first.
   * @param late receives the promise's value if it arrives after the wait has ended.
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

  /** Ends every wait with this error, including waits that start later. */
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
    if (this.#closed !== undefined) wait.interrupt(this.#closed);
    return wait;
  }
}

/** `setTimeout` fires immediately for anything longer. */
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
    open.add(this);
    if (signal !== undefined) watchAbort(signal, this);
  }

  aborted(reason: unknown): void {
    this.interrupt(cancelled(reason, this.#what, "not-executed"));
  }

  /** Interrupts the wait with an error, or without one because the time is up. */
  interrupt(error: MicroError | undefined): void {
    if (this.end()) this.#interrupted(error);
  }

  /** Ends the wait; returns false if it had already ended. */
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
