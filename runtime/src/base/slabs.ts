/** Size of the buffers that connections write their output into. */
const slabBytes = 64 * 1024;

/** A slab larger than this, allocated for a large message, is not kept. */
const largestKeptBytes = 1024 * 1024;

const maxFreeBytesOfSize = 2 * 1024 * 1024;

/** Slabs that no connection is using, by size, so that an idle connection holds none. */
const freeSlabs = new Map<number, Uint8Array[]>();

/** Returns a buffer of at least this many bytes for the output of a connection. */
export function takeSlab(length: number): Uint8Array {
  let size = slabBytes;
  while (size < length) size *= 2;
  if (size > largestKeptBytes) return Buffer.allocUnsafeSlow(length);
  return freeSlabs.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
}

/** Keeps a buffer of {@link takeSlab} for another connection. The caller no longer uses it. */
export function keepSlab(slab: Uint8Array): void {
  const { length } = slab;
  if (length > largestKeptBytes) return;
  const free = freeSlabs.get(length);
  if (free === undefined) freeSlabs.set(length, [slab]);
  else if ((free.length + 1) * length <= maxFreeBytesOfSize) free.push(slab);
}
