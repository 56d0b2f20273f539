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
import { type EtcdEntry, readRange, singleKey, withPrefix } from "../link/entries.ts";
import { range, txn } from "../link/methods.ts";
import { etcdPartKinds } from "../link/options.ts";
import { EtcdPart, type EtcdPartOptions, prefixKind } from "../link/part.ts";
import { atRevision, deleteOperation, putOperation } from "../link/txn.ts";

/** Where an {@link etcdSync} keeps its leases, and how it connects. */
export type EtcdSyncOptions = EtcdPartOptions & {
  /** The prefix of all keys; a different prefix is a separate fleet. Default `/micro/sync`. */
  readonly prefix?: string;
};

/**
 * Locks and leaders in etcd (3.4 and later). Every change is a compare-and-set of a key's revision,
 * and a token is the revision at which a lease was taken. Revisions grow for all keys of a cluster.
 *
 * A lease ends when its key has not changed for its ttl on the clock of the process that wants it,
 * so no two clocks are compared, and ttls may be shorter than those of etcd's own leases.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { etcdSync } from "@micro-es/etcd";
 *
 * await using sync = etcdSync({ endpoints: "http://127.0.0.1:2379" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function etcdSync(options: EtcdSyncOptions = {}): Sync {
  checkOptions("etcdSync", options, { ...etcdPartKinds, prefix: prefixKind });
  return new LeaseSync(new ObservedLeases(new EtcdLeaseRecords(options)), {
    reach: "backend",
    fairness: "process",
    durability: "power-loss",
  });
}

/** The records of leases below a prefix. */
class EtcdLeaseRecords extends EtcdPart implements LeaseRecords {
  readonly name = "etcd";
  readonly #prefix: string;

  constructor({ prefix = "/micro/sync", ...options }: EtcdSyncOptions) {
    super(options, "sync");
    this.#prefix = `${prefix}/`;
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    const { kvs } = await this.link.call(range, this.#keyOf(key), `read the lease ${key}`);
    const [kv] = kvs;
    return kv === undefined ? undefined : { revision: kv.modRevision, value: kv.value };
  }

  async put(name: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    const { key } = this.#keyOf(name);
    const compare = [atRevision(key, ifRevision)];
    const request = { compare, success: [putOperation(key, value)] };
    const { succeeded, header } = await this.link.call(txn, request, `write the lease ${name}`);
    return succeeded ? header?.revision : undefined;
  }

  async delete(name: string, ifRevision: bigint): Promise<boolean> {
    const { key } = this.#keyOf(name);
    const request = { compare: [atRevision(key, ifRevision)], success: [deleteOperation(key)] };
    return (await this.link.call(txn, request, `release ${name}`)).succeeded;
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    const watch = this.watches.watch(this.#keyOf(key), `wait for ${key}`, 1, {
      snapshot: ({ entries: [entry] }) => watcher.changed(recordOf(entry)),
      change: (entry) => watcher.changed(recordOf(entry)),
      failed: () => watcher.failed(),
    });
    return () => watch.close();
  }

  async list(closing: AbortSignal): Promise<LeaseRecordList> {
    const { entries } = await readRange(this.link, withPrefix(this.#prefix), "list leases", {
      signal: closing,
    });
    const records = entries.map(({ key, revision, value }) => {
      return { key: key.slice(this.#prefix.length), revision, value };
    });
    return { records };
  }

  #keyOf(key: string) {
    return singleKey(this.#prefix + key);
  }
}

function recordOf(entry: EtcdEntry | undefined): LeaseRecord | undefined {
  return entry === undefined || entry.deleted ? undefined : entry;
}
