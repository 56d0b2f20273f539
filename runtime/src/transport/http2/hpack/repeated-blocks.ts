import type { HeaderList } from "./header-list.ts";

const slots = 16;
/** A longer block has literal fields, and is unlikely to repeat. */
const maxBlockBytes = 96;

interface Repeated {
  readonly block: Uint8Array;
  readonly list: HeaderList;
}

/**
 * Remembers what recent header blocks were decoded to. A client that calls the same methods again
 * sends the same few bytes, once its fields are in the dynamic table. The owner clears it whenever
 * the table changes.
 */
export class RepeatedBlocks {
  readonly #slots: (Repeated | undefined)[] = new Array<Repeated | undefined>(slots).fill(
    undefined,
  );
  #isEmpty = true;

  find(bytes: Uint8Array, start: number, end: number): HeaderList | undefined {
    if (this.#isEmpty || end - start > maxBlockBytes) return undefined;
    const repeated = this.#slots[slotOf(bytes, start, end)];
    if (repeated === undefined) return undefined;
    const { block } = repeated;
    if (block.length !== end - start) return undefined;
    for (let at = 0; at < block.length; at++) {
      if (block[at] !== bytes[start + at]) return undefined;
    }
    return repeated.list;
  }

  add(bytes: Uint8Array, start: number, end: number, list: HeaderList): void {
    if (end - start > maxBlockBytes) return;
    this.#isEmpty = false;
    this.#slots[slotOf(bytes, start, end)] = { block: bytes.slice(start, end), list };
  }

  clear(): void {
    if (this.#isEmpty) return;
    this.#isEmpty = true;
    this.#slots.fill(undefined);
  }
}

function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
  return (hash ^ (hash >>> 8)) & (slots - 1);
}
