import type { HeaderField } from "./header-field.ts";
import { entryOverheadBytes } from "./header-field.ts";

/**
 * The dynamic table of one direction of a connection (RFC 7541 section 2.3.2): the most recent
 * fields, up to a number of bytes. Adding and evicting a field take constant time.
 */
export class DynamicTable {
  /** Number of fields that were ever added. The newest field has the number before it. */
  added = 0;
  /** Number of fields in the table. */
  length = 0;
  #bytes = 0;
  #maxBytes: number;
  readonly #ring: (HeaderField | undefined)[];
  readonly #mask: number;

  /** @param limitBytes the most that {@link resize} will ask for. */
  constructor(maxBytes: number, limitBytes: number = maxBytes) {
    this.#maxBytes = maxBytes;
    let capacity = 1;
    while (capacity * entryOverheadBytes < limitBytes) capacity *= 2;
    this.#ring = new Array<HeaderField | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The field at an index, of which 0 is the newest; undefined if there is none. */
  get(index: number): HeaderField | undefined {
    return index < this.length ? this.#ring[(this.added - 1 - index) & this.#mask] : undefined;
  }

  /** Whether a field of this size could be added after evicting others. */
  holds(bytes: number): boolean {
    return bytes <= this.#maxBytes;
  }

  /** Whether adding so many bytes requires that a field is evicted first. */
  isFull(bytes: number): boolean {
    return this.length > 0 && this.#bytes + bytes > this.#maxBytes;
  }

  /** Removes the oldest field, and returns it. */
  evict(): HeaderField {
    const place = (this.added - this.length) & this.#mask;
    const field = this.#ring[place]!;
    this.#ring[place] = undefined;
    this.length--;
    this.#bytes -= field.size;
    return field;
  }

  /**
   * Adds a field for which there is room. A field larger than the table is not added, and leaves
   * it empty.
   */
  add(field: HeaderField): void {
    const { size } = field;
    if (!this.holds(size)) return;
    this.#ring[this.added & this.#mask] = field;
    this.added++;
    this.length++;
    this.#bytes += size;
  }

  /** Changes the limit. The owner evicts fields while the table {@link isFull} for 0 bytes. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }
}
