/** What is told that a signal it waits on has fired. */
export interface Abortable {
  aborted(reason: unknown): void;
  /**
   * Its place in a watch; any number at first. For what waits on one signal at most and so often that a `Set` would
   * show, whose tables are garbage that lives long.
   */
  watchPlace?: number;
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
  readonly #placed: Abortable[] = [];
  readonly #others: Set<Abortable> = new Set<Abortable>();

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  get isEmpty(): boolean {
    return this.#placed.length === 0 && this.#others.size === 0;
  }

  add(call: Abortable): void {
    if (call.watchPlace === undefined) this.#others.add(call);
    else call.watchPlace = this.#placed.push(call) - 1;
  }

  delete(call: Abortable): void {
    const place = call.watchPlace;
    if (place === undefined) {
      this.#others.delete(call);
      return;
    }
    const placed = this.#placed;
    if (placed[place] !== call) return;
    const last = placed.pop()!;
    if (last === call) return;
    placed[place] = last;
    last.watchPlace = place;
  }

  handleEvent(): void {
    const { signal } = this;
    // From here on nobody finds this watch, so that the calls, which leave it now, change nothing.
    forget(signal);
    for (const call of this.#placed) call.aborted(signal.reason);
    for (const call of this.#others) call.aborted(signal.reason);
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
  watch.add(call);
}

/** The call no longer waits on the signal. */
export function unwatchAbort(signal: AbortSignal, call: Abortable): void {
  const watch = watchOf(signal);
  if (watch === undefined) return;
  watch.delete(call);
  if (!watch.isEmpty) return;
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
