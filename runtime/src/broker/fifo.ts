/** The smallest capacity, and the largest that an empty queue keeps; powers of two. */
const smallest = 16;
const largestKept = 1024;

/**
 * First in, first out, in constant time at any length: a ring. It keeps its capacity when it is
 * read empty, because allocating for each burst of events would cost more than handling them.
 */
export class Fifo<T> {
  #items: (T | undefined)[] = noItems;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#length++) & (this.#items.length - 1)] = item;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const items = this.#items;
    const item = items[this.#head];
    items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (items.length - 1);
    if (--this.#length === 0 && items.length > largestKept) {
      this.#items = noItems;
      this.#head = 0;
    }
    return item;
  }

  #grow(): void {
    const items = this.#items;
    const larger = new Array<T | undefined>(Math.max(smallest, 2 * items.length)).fill(undefined);
    for (let index = 0; index < this.#length; index++) {
      larger[index] = items[(this.#head + index) & (items.length - 1)];
    }
    this.#items = larger;
    this.#head = 0;
  }
}

const noItems: undefined[] = [];
