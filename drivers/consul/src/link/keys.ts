import { Buffer } from "node:buffer";
import { MicroError } from "@micro-es/runtime";
import type { Indexed } from "./followed-query.ts";
import { isObject, parse } from "./json.ts";
import type { ConsulLink } from "./link.ts";

/** A key of Consul's store. */
export interface KeyEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** The index at which it was last written; it grows for all keys of a datacenter. */
  readonly modified: number;
}

/** Keys at one index. */
export interface KeyReading extends Indexed {
  readonly entries: readonly KeyEntry[];
}

export interface KeyReadOptions {
  /** Whether to read all keys that begin with the given one. */
  readonly below?: boolean;
  /** Waits for a change after this index; 0 reads at once. */
  readonly after?: number;
  /** Whether the leader makes sure that it still is the leader. */
  readonly isConsistent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Reads keys from the leader. @throws MicroError as {@link ConsulLink.call}. */
export async function readKeys(
  link: ConsulLink,
  key: string,
  what: string,
  { below = false, after = 0, isConsistent = false, signal }: KeyReadOptions = {},
): Promise<KeyReading> {
  const { status, index, text } = await link.call(
    {
      path: `kv/${key.split("/").map(encodeURIComponent).join("/")}`,
      query: {
        dc: link.datacenter,
        recurse: below ? "" : undefined,
        consistent: isConsistent ? "" : undefined,
      },
      ...(after > 0 ? { block: { index: after, waitMs: link.waitMs } } : {}),
      // An absence also has an index.
      accepts: (status) => status === 404,
    },
    what,
    signal,
  );
  const found = status === 404 ? [] : parse(text);
  return { index, entries: Array.isArray(found) ? found.flatMap(entryOf) : [] };
}

/**
 * Writes a key if it was last written at this index, 0 for a key that is absent.
 * @returns the index at which it was written; undefined if another client was faster.
 */
export async function writeKey(
  link: ConsulLink,
  key: string,
  value: Uint8Array,
  ifModified: number,
  what: string,
): Promise<number | undefined> {
  const base64 = Buffer.from(value).toString("base64");
  const results = await transact(link, what, [
    { KV: { Verb: "cas", Key: key, Value: base64, Index: ifModified } },
  ]);
  if (results === undefined) return undefined;
  const [result] = results;
  const written = isObject(result) && isObject(result.KV) ? result.KV.ModifyIndex : undefined;
  if (typeof written === "number") return written;
  throw new MicroError("internal", `cannot ${what}: Consul responded without an index`);
}

/** Deletes a key if it was last written at this index; false if another client was faster. */
export async function deleteKey(
  link: ConsulLink,
  key: string,
  ifModified: number,
  what: string,
): Promise<boolean> {
  const operation = { KV: { Verb: "delete-cas", Key: key, Index: ifModified } };
  return (await transact(link, what, [operation])) !== undefined;
}

/** @returns the results; undefined if a condition did not hold. */
async function transact(
  link: ConsulLink,
  what: string,
  operations: readonly object[],
): Promise<readonly unknown[] | undefined> {
  const { status, text } = await link.call(
    {
      method: "PUT",
      path: "txn",
      query: { dc: link.datacenter },
      body: operations,
      // The second of two would find its condition broken by the first.
      onlyOnce: true,
      accepts: (status) => status === 409,
    },
    what,
  );
  const response = parse(text);
  if (status === 409) {
    if (/permission denied/i.test(text)) {
      throw new MicroError("permission_denied", `cannot ${what}: Consul says: permission denied`, {
        outcome: "not-executed",
      });
    }
    return undefined;
  }
  return isObject(response) && Array.isArray(response.Results) ? response.Results : [];
}

function entryOf(found: unknown): KeyEntry[] {
  if (!isObject(found)) return [];
  const { Key: key, Value: value, ModifyIndex: modified } = found;
  if (typeof key !== "string" || typeof modified !== "number") return [];
  const base64 = typeof value === "string" ? value : "";
  return [{ key, modified, value: Buffer.from(base64, "base64") }];
}
