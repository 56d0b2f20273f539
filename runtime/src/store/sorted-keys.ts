import { compareKeys } from "./key.ts";

const chunkSize = 512;

/**
 * A set of keys in the order of their UTF-8 bytes, as a list of short sorted lists: adding and
 * removing moves a few hundred pointers however many keys there are. A cursor is a key and stays
 * valid across other writes.
 */
export class SortedKeys {
  readonly #chunks: string[][] = [];

  /** Adds a key; no effect if it is present. */
  add(key: string): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push([key]);
      return;
    }
    const index = Math.min(this.#chunkOf(key), this.#chunks.length - 1);
    const chunk = this.#chunks[index]!;
    const at = lowerBound(chunk, key);
    if (chunk[at] === key) return;
    chunk.splice(at, 0, key);
    if (chunk.length > chunkSize) this.#chunks.splice(index + 1, 0, chunk.splice(chunkSize / 2));
  }

  /** Removes a key; no effect if it is absent. */
  remove(key: string): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const at = lowerBound(chunk, key);
    if (chunk[at] !== key) return;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(index, 1);
  }

  /** The first key that is equal to or after this one. */
  from(key: string): string | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)];
    return chunk?.[lowerBound(chunk, key)];
  }

  /** The first key after this one. */
  after(key: string): string | undefined {
    // No key lies between a key and that key followed by NUL.
    return this.from(`${key}\0`);
  }

  /** The first of all keys. */
  first(): string | undefined {
    return this.#chunks[0]?.[0];
  }

  /** Index of the first chunk whose last key is equal to or after this one. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const last = this.#chunks[middle]!.at(-1)!;
      if (compareKeys(last, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
