/** What is told that a signal it waits on has fired. */
export interface Abortable {
  aborted(reason: unknown): void;
}

const watches = new WeakMap<AbortSignal, AbortWatch>();
/** The watch that was asked for last, as long as somebody waits on it: calls often share a signal. */
let last: AbortWatch | undefined;

/**
 * All calls and waits that one signal cancels. They share a listener: one for each would be slow, and Node warns of a
 * leak from the eleventh on.
 */
class AbortWatch {
  readonly signal: AbortSignal;
  readonly calls: Set<Abortable> = new Set<Abortable>();

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  handleEvent(): void {
    const { signal } = this;
    forget(signal);
    for (const call of this.calls) call.aborted(signal.reason);
  }
}

/** Tells the call when the signal fires, once. A signal that has fired already tells nobody. */
export function watchAbort(signal: AbortSignal, call: Abortable): void {
  let watch = watchOf(signal);
  if (watch === undefined) {
    watch = new AbortWatch(signal);
    watches.set(signal, watch);
    signal.addEventListener("abort", watch, { once: true });
  }
  last = watch;
  watch.calls.add(call);
}

/** The call no longer waits on the signal. */
export function unwatchAbort(signal: AbortSignal, call: Abortable): void {
  const watch = watchOf(signal);
  if (watch === undefined) return;
  watch.calls.delete(call);
  if (watch.calls.size > 0) return;
  forget(signal);
  // A signal of AbortSignal.any is kept alive by Node for as long as it has a listener.
  signal.removeEventListener("abort", watch);
}

function watchOf(signal: AbortSignal): AbortWatch | undefined {
  return last?.signal === signal ? last : watches.get(signal);
}

function forget(signal: AbortSignal): void {
  watches.delete(signal);
  if (last?.signal === signal) last = undefined;
}
