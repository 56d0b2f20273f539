/** What is told that a signal it waits on has fired. */
export interface Abortable {
  aborted(reason: unknown): void;
}

const watches = new WeakMap<AbortSignal, AbortWatch>();

/**
 * All calls and waits that one signal cancels. They share a listener: one for each would be slow, and Node warns of a
 * leak from the eleventh on.
 */
class AbortWatch {
  readonly calls: Set<Abortable> = new Set<Abortable>();

  handleEvent(event: Event): void {
    const signal = event.target as AbortSignal;
    watches.delete(signal);
    for (const call of this.calls) call.aborted(signal.reason);
  }
}

/** Tells the call when the signal fires, once. A signal that has fired already tells nobody. */
export function watchAbort(signal: AbortSignal, call: Abortable): void {
  let watch = watches.get(signal);
  if (watch === undefined) {
    watch = new AbortWatch();
    watches.set(signal, watch);
    signal.addEventListener("abort", watch, { once: true });
  }
  watch.calls.add(call);
}

/** The call no longer waits on the signal. */
export function unwatchAbort(signal: AbortSignal, call: Abortable): void {
  const watch = watches.get(signal);
  if (watch === undefined) return;
  watch.calls.delete(call);
  if (watch.calls.size > 0) return;
  watches.delete(signal);
  // A signal of AbortSignal.any is kept alive by Node for as long as it has a listener.
  signal.removeEventListener("abort", watch);
}
