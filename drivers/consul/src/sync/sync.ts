import type { Sync } from "@micro-es/runtime";
import {
  checkOptions,
  type LeaseRecord,
  type LeaseRecordList,
  type LeaseRecords,
  type LeaseRecordWatcher,
  LeaseSync,
  ObservedLeases,
} from "@micro-es/runtime/driver";
import { FollowedQuery } from "../link/followed-query.ts";
import { deleteKey, type KeyEntry, readKeys, writeKey } from "../link/keys.ts";
import { consulPartKinds } from "../link/options.ts";
import { ConsulPart, type ConsulPartOptions, prefixKind } from "../link/part.ts";

/** Where a {@link consulSync} keeps its leases, and how it connects. */
export type ConsulSyncOptions = ConsulPartOptions & {
  /** The prefix of all keys; a different prefix is a separate fleet. Default `micro/sync`. */
  readonly prefix?: string;
};

/**
 * Locks and leaders in the keys of Consul (1.8 and later). Every change is a compare-and-set of a
 * key's index, and a token is the index at which a lease was taken. Indexes grow for all keys of a
 * datacenter.
 *
 * A lease ends when its key has not changed for its ttl on the clock of the process that wants it,
 * so no two clocks are compared, and ttls may be shorter than those of Consul's sessions.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { consulSync } from "@micro-es/consul";
 *
 * await using sync = consulSync({ address: "http://127.0.0.1:8500" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function consulSync(options: ConsulSyncOptions = {}): Sync {
  checkOptions("consulSync", options, { ...consulPartKinds, prefix: prefixKind });
  return new LeaseSync(new ObservedLeases(new ConsulLeaseRecords(options)), {
    reach: "backend",
    fairness: "process",
    durability: "power-loss",
  });
}

/** The records of leases below a prefix. */
class ConsulLeaseRecords extends ConsulPart implements LeaseRecords {
  readonly name = "consul";
  readonly #prefix: string;
  readonly #watches = new Set<FollowedQuery<{ index: number }>>();

  constructor({ prefix = "micro/sync", ...options }: ConsulSyncOptions) {
    super(options, "sync");
    this.#prefix = `${prefix}/`;
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    const what = `read the lease ${key}`;
    const { entries } = await readKeys(this.link, this.#keyOf(key), what, { isConsistent: true });
    return recordOf(entries[0]);
  }

  async put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    const what = `write the lease ${key}`;
    const at = await writeKey(this.link, this.#keyOf(key), value, Number(ifRevision), what);
    return at === undefined ? undefined : BigInt(at);
  }

  delete(key: string, ifRevision: bigint): Promise<boolean> {
    return deleteKey(this.link, this.#keyOf(key), Number(ifRevision), `release ${key}`);
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    const query = new FollowedQuery(
      this.link,
      (after, signal) =>
        readKeys(this.link, this.#keyOf(key), `wait for ${key}`, { after, signal }),
      {
        read: ({ entries }) => watcher.changed(recordOf(entries[0])),
        failed: () => watcher.failed(),
        resumed: () => {},
      },
    );
    this.#watches.add(query);
    return () => {
      this.#watches.delete(query);
      void query.close();
    };
  }

  async list(closing: AbortSignal): Promise<LeaseRecordList> {
    const { entries } = await readKeys(this.link, this.#prefix, "list leases", {
      below: true,
      isConsistent: true,
      signal: closing,
    });
    const records = entries.flatMap((entry) => {
      const key = decodeName(entry.key.slice(this.#prefix.length));
      return key === undefined
        ? []
        : [{ key, revision: BigInt(entry.modified), value: entry.value }];
    });
    return { records };
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#watches].map((query) => query.close()));
  }

  #keyOf(name: string): string {
    return this.#prefix + encodeName(name);
  }
}

function recordOf(entry: KeyEntry | undefined): LeaseRecord | undefined {
  return entry === undefined ? undefined : { revision: BigInt(entry.modified), value: entry.value };
}

/** Any name as one part of a key: Consul takes no control characters, and cleans dots away. */
function encodeName(name: string): string {
  return encodeURIComponent(name).replaceAll(".", "%2E");
}

/** The name of a key; undefined if {@link encodeName} did not write it. */
function decodeName(key: string): string | undefined {
  try {
    const name = decodeURIComponent(key);
    return encodeName(name) === key ? name : undefined;
  } catch {
    return undefined;
  }
}
