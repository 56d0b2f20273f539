import { IS_CONTROL, type RecordsBatch } from "@platformatic/kafka";
import type { ReadRecord } from "./message.ts";

/**
 * The records of a response from an offset, without those that only mark transactions.
 * @returns with the offset to go on with.
 */
export function recordsOf(
  partition: number,
  batches: readonly RecordsBatch[],
  from: number,
): { readonly records: readonly ReadRecord[]; readonly next: number } {
  const found: ReadRecord[] = [];
  let next = from;
  for (const { firstOffset, firstTimestamp, attributes, lastOffsetDelta, records } of batches) {
    const first = Number(firstOffset);
    if ((attributes & IS_CONTROL) === 0) {
      for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
        const offset = first + offsetDelta;
        // A batch may begin before the offset that was asked for.
        if (offset < from) continue;
        const at = new Date(Number(firstTimestamp + timestampDelta));
        found.push({ partition, offset, at, key, value, headers });
      }
    }
    next = Math.max(next, first + lastOffsetDelta + 1);
  }
  return { records: found, next };
}
