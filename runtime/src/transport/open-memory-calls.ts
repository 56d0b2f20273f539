import type { MemoryCall } from "./memory-link.ts";

/**
 * The open calls of a channel, each with its place in an array. A `Set` would keep dead calls alive: its tables refer to
 * those that replaced them, and one that the garbage collector has taken for old keeps all that came after it.
 */
export class OpenMemoryCalls {
  readonly #calls: MemoryCall[] = [];

  get size(): number {
    return this.#calls.length;
  }

  add(call: MemoryCall): void {
    call.place = this.#calls.push(call) - 1;
  }

  /** False when the call was not among them. */
  delete(call: MemoryCall): boolean {
    const { place } = call;
    if (this.#calls[place] !== call) return false;
    const last = this.#calls.pop();
    if (last !== undefined && last !== call) {
      this.#calls[place] = last;
      last.place = place;
    }
    return true;
  }

  /** Those that are open now, as a list of its own. */
  all(): readonly MemoryCall[] {
    return [...this.#calls];
  }
}
