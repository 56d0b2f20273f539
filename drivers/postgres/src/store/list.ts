import { Buffer } from "node:buffer";
import { compareKeys, type Listing, untilAborted } from "@micro-es/runtime/driver";
import type { Row } from "../link/session.ts";
import { endOfPrefix, recordColumns } from "./record.ts";

const firstPage = 64;
const largestPage = 512;
/** A page ends with the record that exceeds this; one record is returned however large it is. */
const pageBytes = 4_000_000;

/**
 * Reads the records of a listing page by page, in the order of the bytes of their keys. Each page
 * is as the store is when it is read.
 * @param read runs a statement.
 * @throws MicroError as `read`, or the error of a signal that fires.
 */
export async function* readPages(
  table: string,
  { prefix, after, limit, offset, suffix }: Listing,
  read: (text: string, values: readonly (Buffer | number | null)[]) => Promise<readonly Row[]>,
  signals: readonly (AbortSignal | undefined)[],
): AsyncGenerator<readonly Row[], void, undefined> {
  const isAfter = after !== undefined && compareKeys(after, prefix) >= 0;
  let from = isAfter ? following(Buffer.from(after)) : Buffer.from(prefix);
  const end = endOfPrefix(prefix);
  const last = suffix === "" ? null : Buffer.from(suffix);
  let pageSize = Math.min(firstPage, limit + offset);
  for (;;) {
    const rows = await untilAborted(
      read(
        `select * from (
          select ${recordColumns}, count(*) over () as asked,
            sum(octet_length(value)) over (order by key) - octet_length(value) as before
          from (
            select ${recordColumns} from ${table}
            where key >= $1 and key < $2 and value is not null and ($3::bytea is null
              or substring(key from greatest(octet_length(key) - octet_length($3) + 1, 1)) = $3)
            order by key limit $4
          ) page
        ) sized where before < ${pageBytes} order by key`,
        [from, end, last, pageSize],
      ),
      signals,
    );
    yield rows;
    const final = rows.at(-1);
    const asked = Number(final?.asked ?? 0);
    if (final === undefined || (asked < pageSize && rows.length === asked)) return;
    from = following(final.key as Buffer);
    pageSize = Math.min(2 * pageSize, largestPage);
  }
}

/** The first key after another one. */
function following(key: Buffer): Buffer {
  return Buffer.concat([key, new Uint8Array(1)]);
}
