import { Buffer } from "node:buffer";
import { asMicroError } from "@micro-es/runtime";
import { compareKeys, type Listing, untilAborted } from "@micro-es/runtime/driver";
import { type KeyValue, withPrefix } from "../link/entries.ts";
import type { EtcdLink } from "../link/link.ts";
import { range } from "../link/methods.ts";

const firstPage = 64;
const largestPage = 512;

/**
 * Reads the keys of a listing page by page, in the order of their bytes, as they were when it
 * began. If etcd forgets that state meanwhile, the rest is read as it is then.
 * @throws MicroError as {@link EtcdLink.call}, or the error of a signal that fires.
 */
export async function* readPages(
  link: EtcdLink,
  root: string,
  { prefix, after, limit, offset, suffix }: Listing,
  signals: readonly (AbortSignal | undefined)[],
): AsyncGenerator<readonly KeyValue[], void, undefined> {
  const { key: first, rangeEnd } = withPrefix(root + prefix);
  const isAfter = after !== undefined && compareKeys(after, prefix) >= 0;
  let key = isAfter ? following(Buffer.from(root + after)) : first;
  if (Buffer.compare(key, rangeEnd) >= 0) return;
  let revision = 0n;
  // A listing by suffix may skip any number of keys.
  let pageSize = suffix === "" ? Math.min(firstPage, limit + offset) : firstPage;
  for (;;) {
    try {
      const request = { key, rangeEnd, revision, limit: BigInt(pageSize) };
      const page = await untilAborted(link.call(range, request, "list the store"), signals);
      if (revision === 0n) revision = page.header?.revision ?? 0n;
      yield page.kvs;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return;
      key = following(last.key);
      pageSize = Math.min(2 * pageSize, largestPage);
    } catch (error) {
      const { code } = asMicroError(error);
      // Compacted: the keys that were read come before this one, so none is repeated.
      if (code === "out_of_range" && revision !== 0n) revision = 0n;
      // Values may be far larger than usual; a page with a single one always fits.
      else if (code === "resource_exhausted" && pageSize > 1) pageSize = Math.ceil(pageSize / 4);
      else throw error;
    }
  }
}

/** The first key after another one. */
function following(key: Uint8Array): Uint8Array {
  return Buffer.concat([key, new Uint8Array(1)]);
}
