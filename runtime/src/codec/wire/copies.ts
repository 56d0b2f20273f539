/** V8 keeps arrays up to this size in its own heap; each larger one costs an allocation of the system. */
const smallest = 64;
/** What is larger gets an array of its own, so that a small message does not keep much memory. */
const largest = 4096;
/** As large as what Node carves its Buffers out of. */
const slabBytes = 8192;

let slab: Uint8Array = /*@__PURE__*/ new Uint8Array(0);
let used = 0;

/** A copy of a part of bytes. Copies of middle size share an array, though no part of it. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  // Of a Buffer, a slice would be a Buffer too, and a view.
  if (length <= smallest && bytes.constructor === Uint8Array) return bytes.slice(start, end);
  const part = new Uint8Array(bytes.buffer, bytes.byteOffset + start, length);
  if (length <= smallest || length > largest) return new Uint8Array(part);
  if (used + length > slab.length) {
    slab = new Uint8Array(slabBytes);
    used = 0;
  }
  slab.set(part, used);
  const copy = new Uint8Array(slab.buffer, used, length);
  used += length;
  return copy;
}
