/** An operation that ends when a signal fires. */
export interface Abortable {
  aborted(reason: unknown): void;
  /**
   * Position in a watch; any number at first. Suits operations that wait on at most one signal and
   * are so frequent that a `Set` would show: the tables of a `Set` are long-lived garbage.
   */
  watchPlace?: number;
}

const watches = new WeakMap<AbortSignal, AbortWatch>();
/**
 * The most recently requested watch, as long as an operation waits on it: calls often share a
 * signal.
 */
let last: AbortWatch | undefined;

/**
 * All calls and waits that one signal cancels. They share a listener: one listener per call would
 * be slow, and Node warns of a leak from the eleventh on.
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
    // From here on no lookup finds this watch, so calls that leave it now change nothing.
    forget(signal);
    for (const call of this.#placed) call.aborted(signal.reason);
    for (const call of this.#others) call.aborted(signal.reason);
  }
}

/**
 * Notifies the call once when the signal fires, or before returning if the signal has already
 * fired.
 */
export function watchAbort(signal: AbortSignal, call: Abortable): void {
  if (signal.aborted) {
    call.aborted(signal.reason);
    return;
  }
  let watch = watchOf(signal);
  if (watch === undefined) {
    watch = new AbortWatch(signal);
    watches.set(signal, watch);
    signal.addEventListener("abort", watch, { once: true });
  }
  last = watch;
  watch.add(call);
}

/** Stops watching the signal for the call. */
export function unwatchAbort(signal: AbortSignal, call: Abortable): void {
  const watch = watchOf(signal);
  if (watch === undefined) return;
  watch.delete(call);
  if (!watch.isEmpty) return;
  forget(signal);
  // Node keeps a signal from AbortSignal.any alive for as long as it has a listener.
  signal.removeEventListener("abort", watch);
}

function watchOf(signal: AbortSignal): AbortWatch | undefined {
  return last?.signal === signal ? last : watches.get(signal);
}

function forget(signal: AbortSignal): void {
  watches.delete(signal);
  if (last?.signal === signal) last = undefined;
}
