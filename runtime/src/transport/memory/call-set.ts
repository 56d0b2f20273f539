import type { MemoryCall } from "./link.ts";

/**
 * The open calls of a channel, each with its index in an array. A `Set` would keep dead calls
 * alive: its hash tables refer to their replacements, and a table that the garbage collector has
 * promoted to the old generation retains everything that came after it.
 */
export class MemoryCallSet {
  readonly #calls: MemoryCall[] = [];

  get size(): number {
    return this.#calls.length;
  }

  add(call: MemoryCall): void {
    call.place = this.#calls.push(call) - 1;
  }

  /** Returns false if the call was not in the set. */
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

  /** Returns a copy of the calls that are open now. */
  all(): readonly MemoryCall[] {
    return [...this.#calls];
  }
}
