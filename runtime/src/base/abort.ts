import { type Abortable, unwatchAbort, watchAbort } from "./abort-watch.ts";
import { asMicroError, type MicroError } from "./error.ts";

/** The signals that cancel an operation; an absent one never fires. */
export type AbortSignals = AbortSignal | undefined | readonly (AbortSignal | undefined)[];

/**
 * The error of an operation whose signal fired before it had an effect: the signal's reason if that
 * is a MicroError, `deadline_exceeded` for a timeout, otherwise `canceled`.
 */
export function abortError(reason: unknown): MicroError {
  return asMicroError(reason, "canceled", { outcome: "not-executed" });
}

/** @throws MicroError as {@link abortError} if the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortError(signal.reason);
}

/**
 * Calls the listener once, with the reason of whichever signal fires first. If one has already
 * fired, the listener runs before this function returns, so no abort is lost between a check and
 * the call.
 * @returns a function that stops listening.
 */
export function listenForAbort(
  signals: AbortSignals,
  listener: (reason: unknown) => void,
): () => void {
  return signals === undefined ? notListening : new AbortListener(signals, listener).stop;
}

const notListening = (): void => {};

class AbortListener implements Abortable {
  readonly #listener: (reason: unknown) => void;
  #signals: readonly (AbortSignal | undefined)[];

  constructor(signals: AbortSignals, listener: (reason: unknown) => void) {
    this.#listener = listener;
    this.#signals = signals instanceof AbortSignal || signals === undefined ? [signals] : signals;
    for (const signal of this.#signals) {
      if (signal !== undefined) watchAbort(signal, this);
      if (this.#signals.length === 0) return;
    }
  }

  readonly stop = (): void => {
    const signals = this.#signals;
    this.#signals = [];
    for (const signal of signals) if (signal !== undefined) unwatchAbort(signal, this);
  };

  aborted(reason: unknown): void {
    if (this.#signals.length === 0) return;
    this.stop();
    this.#listener(reason);
  }
}

/** Options of {@link untilAborted} for when the signal fires first. */
export interface UntilAbortedOptions<T> {
  /** Makes the error from the signal's reason. Default {@link abortError}. */
  readonly error?: (reason: unknown) => unknown;
  /** Receives a value that arrives after the abort, to close it. Must not throw or reject. */
  readonly late?: (value: T) => unknown;
}

/**
 * Settles as the promise does, unless a signal fires first: then it rejects at once.
 * @throws MicroError as {@link abortError} unless `error` makes another error.
 */
export function untilAborted<T>(
  promise: Promise<T>,
  signals: AbortSignals,
  { error = abortError, late }: UntilAbortedOptions<T> = {},
): Promise<T> {
  if (signals === undefined) return promise;
  return new Promise((resolve, reject) => {
    let aborted = false;
    const stop = listenForAbort(signals, (reason) => {
      aborted = true;
      reject(error(reason));
    });
    promise.then(
      (value) => {
        stop();
        if (aborted) late?.(value);
        else resolve(value);
      },
      (reason) => {
        stop();
        reject(reason);
      },
    );
  });
}

/**
 * Resolves when `done` is called or a signal fires, whichever is first. `begin` does not run if a
 * signal has already fired.
 * @param begin begins the wait and returns the function that ends it, for example by removing a
 * listener; that function is called once.
 */
export function waitUntilAborted(
  signals: AbortSignals,
  begin: (done: () => void) => () => void,
): Promise<void> {
  return new Promise((resolve) => {
    let over = false;
    let end: (() => void) | undefined;
    let stop: (() => void) | undefined;
    const done = (): void => {
      if (over) return;
      over = true;
      stop?.();
      end?.();
      resolve();
    };
    stop = listenForAbort(signals, done);
    if (over) return;
    end = begin(done);
    if (over) end();
  });
}

/** Resolves after this time or when a signal fires. The timer does not keep the process running. */
export function pauseUntilAborted(ms: number, signals: AbortSignals): Promise<void> {
  return waitUntilAborted(signals, (done) => {
    const timer = setTimeout(done, ms);
    timer.unref();
    return () => clearTimeout(timer);
  });
}
