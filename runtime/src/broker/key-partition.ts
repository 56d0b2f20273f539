import { createHash } from "node:crypto";

/** The partition of events without a key. */
export const noKey = "none";
/**
 * The partitions of events with a key. Their number must never change: a key always maps to the
 * same one.
 */
export const partitions: readonly string[] = Array.from({ length: 16 }, (_, index) => `k${index}`);

/** The partition of a key, the same in every process, by which a broker keeps its order. */
export function partitionOf(key: string | undefined): string {
  if (key === undefined) return noKey;
  const [first = 0] = createHash("sha256").update(key).digest();
  return partitions[first % partitions.length] ?? noKey;
}
