import { Buffer } from "node:buffer";
import type { StoreRecord } from "@micro-es/runtime";
import { untilAborted } from "@micro-es/runtime/driver";
import type { Reply } from "../link/connection.ts";
import type { RedisLink } from "../link/link.ts";
import type { StoreKeys } from "./keys.ts";
import { recordOf } from "./record.ts";
import { readPage } from "./scripts.ts";

/** Consecutive records of a store, as they were at one time. */
export interface RecordPage {
  readonly records: readonly StoreRecord[];
  /** The last version of the store at that time. */
  readonly version: bigint;
  /** The last key that was looked at; undefined for the end of the listing. */
  readonly last: Buffer | undefined;
}

/** Which records to read. */
export interface PageRange {
  readonly prefix: string;
  readonly after?: string | undefined;
  /** The number of keys in the first page; later ones are larger. */
  readonly pageSize?: number;
}

const firstPage = 64;
const largestPage = 512;
/** A page ends with the record that reaches this, in bytes. */
const pageBytes = 1024 * 1024;

/**
 * Reads records page by page, in the order of the bytes of their keys. A record that exists all the
 * time is in exactly one page.
 * @throws MicroError as {@link RedisLink.run}, or the error of a signal that fires.
 */
export async function* readPages(
  link: RedisLink,
  keys: StoreKeys,
  range: PageRange,
  signals: readonly (AbortSignal | undefined)[],
  what: string,
): AsyncGenerator<RecordPage, void, undefined> {
  const prefix = Buffer.from(range.prefix);
  const after = range.after === undefined ? undefined : Buffer.from(range.after);
  const isAfter = after !== undefined && Buffer.compare(after, prefix) >= 0;
  let from = isAfter ? bound("(", after) : prefix.length === 0 ? "-" : bound("[", prefix);
  // No byte of UTF-8 is 255.
  const to = prefix.length === 0 ? "+" : bound("(", Buffer.concat([prefix, Buffer.of(255)]));
  let size = range.pageSize ?? firstPage;
  for (;;) {
    const reading = link.run(
      readPage,
      [keys.all, keys.version],
      [keys.records, from, to, size, pageBytes],
      what,
    );
    const page = pageOf(await untilAborted(reading, signals));
    yield page;
    if (page.last === undefined) return;
    from = bound("(", page.last);
    size = Math.min(2 * size, largestPage);
  }
}

function pageOf(reply: Reply): RecordPage {
  const [version, last, ...values] = reply as readonly Reply[];
  const records: StoreRecord[] = [];
  for (let index = 0; index < values.length; index += 5) {
    const record = recordOf(String(values[index]), values.slice(index + 1, index + 5));
    if (record !== undefined) records.push(record);
  }
  const end = last as Buffer;
  return { records, version: BigInt(String(version)), last: end.length === 0 ? undefined : end };
}

function bound(mark: "(" | "[", key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(mark), key]);
}
