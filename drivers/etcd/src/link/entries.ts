import { Buffer } from "node:buffer";
import type { MessageShape } from "@bufbuild/protobuf";
import { asMicroError, type MicroError } from "@micro-es/runtime";
import type { KeyValueSchema } from "../gen/etcd/kv_pb.ts";
import type { EtcdLink } from "./link.ts";
import { range } from "./methods.ts";

/** A key with its value as etcd sends it. */
export type KeyValue = MessageShape<typeof KeyValueSchema>;

/** An etcd key with its value, or its deletion. */
export interface EtcdEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** The revision of the store at which it was written or deleted. */
  readonly revision: bigint;
  /** The lease to which the key is attached; 0 for none. */
  readonly lease: bigint;
  readonly deleted: boolean;
}

/** A range of keys: a single one, or all with a prefix. */
export interface KeyRange {
  readonly key: Uint8Array;
  /** Exclusive; empty for a single key. */
  readonly rangeEnd: Uint8Array;
}

/** All entries of a range at one revision. */
export interface Snapshot {
  readonly entries: readonly EtcdEntry[];
  readonly revision: bigint;
  readonly clusterId: bigint;
  /** Whether there are more entries than requested. */
  readonly truncated: boolean;
}

/** Options of reading a range. */
export interface ReadOptions {
  readonly keysOnly?: boolean;
  /** The most entries to read. Default: all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

const firstPage = 256;
/** How often reading starts over because its revision was compacted meanwhile. */
const maxRestarts = 3;

export function singleKey(key: string): KeyRange {
  return { key: Buffer.from(key), rangeEnd: new Uint8Array() };
}

export function withPrefix(prefix: string): KeyRange {
  const end = Buffer.from(prefix);
  // No byte of UTF-8 is 255, so the last one can always be incremented.
  end[end.length - 1] = (end.at(-1) as number) + 1;
  return { key: Buffer.from(prefix), rangeEnd: end };
}

export function entryOf(kv: KeyValue, deleted: boolean): EtcdEntry {
  const { value, modRevision: revision, lease } = kv;
  return { key: Buffer.from(kv.key).toString(), value, revision, lease, deleted };
}

/**
 * Reads a range page by page, all pages at the revision of the first.
 * @throws MicroError as {@link EtcdLink.call}.
 */
export async function readRange(
  link: EtcdLink,
  { key, rangeEnd }: KeyRange,
  what: string,
  options: ReadOptions = {},
): Promise<Snapshot> {
  const { keysOnly = false, limit = Number.POSITIVE_INFINITY, signal } = options;
  let pageSize = firstPage;
  for (let restarts = 0; ; ) {
    const entries: EtcdEntry[] = [];
    let [revision, clusterId, from] = [0n, 0n, key];
    try {
      for (;;) {
        const request = { key: from, rangeEnd, revision, keysOnly, limit: BigInt(pageSize) };
        const page = await link.call(range, request, what, signal).catch((error: MicroError) => {
          // Records may be far larger than usual; a page with a single one always fits.
          if (error.code !== "resource_exhausted" || pageSize === 1) throw error;
          pageSize = Math.ceil(pageSize / 4);
        });
        if (page === undefined) continue;
        if (revision === 0n) {
          revision = page.header?.revision ?? 0n;
          clusterId = page.header?.clusterId ?? 0n;
        }
        for (const kv of page.kvs) entries.push(entryOf(kv, false));
        const last = page.kvs.at(-1);
        if (!page.more || last === undefined || entries.length >= limit) {
          return { entries, revision, clusterId, truncated: page.more };
        }
        from = Buffer.concat([last.key, new Uint8Array(1)]);
      }
    } catch (error) {
      const isCompacted = asMicroError(error).code === "out_of_range";
      if (!isCompacted || ++restarts > maxRestarts) throw error;
    }
  }
}
