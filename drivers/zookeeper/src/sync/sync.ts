import { asMicroError, type Sync } from "@micro-es/runtime";
import {
  checkOptions,
  type LeaseRecord,
  type LeaseRecordList,
  type LeaseRecords,
  type LeaseRecordWatcher,
  LeaseSync,
  ObservedLeases,
} from "@micro-es/runtime/driver";
import { FollowedTree } from "../link/followed-tree.ts";
import { zooKeeperPartKinds } from "../link/options.ts";
import { rootKind, ZooKeeperPart, type ZooKeeperPartOptions } from "../link/part.ts";
import { ensurePath, orAbsent, readTree } from "../link/tree.ts";
import { create, getData, type Stat, setData, sync } from "../wire/operations.ts";

/** Where a {@link zooKeeperSync} keeps its leases, and how it connects. */
export type ZooKeeperSyncOptions = ZooKeeperPartOptions & {
  /** The path of all leases; a different path is a separate fleet. Default `/micro/sync`. */
  readonly root?: string;
};

/** The most leases that are listed. */
const maxListed = 100_000;
/** How many versions are remembered; the oldest is forgotten first, which only costs a read. */
const maxVersions = 10_000;

/**
 * Locks and leaders in znodes of ZooKeeper (3.6 and later). Every change is a compare-and-set of a
 * znode's version, and a token is the transaction in which a lease was taken. Transaction numbers
 * grow over the whole ensemble.
 *
 * A lease ends when its znode has not changed for its ttl on the clock of the process that wants
 * it, so no two clocks are compared, and ttls may be shorter than sessions. The znode of a lease
 * stays when it ends, without data.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { zooKeeperSync } from "@micro-es/zookeeper";
 *
 * await using sync = zooKeeperSync({ servers: ["10.0.0.5:2181", "10.0.0.6:2181"] });
 * await using lock = await sync.lock("report");
 * ```
 */
export function zooKeeperSync(options: ZooKeeperSyncOptions = {}): Sync {
  checkOptions("zooKeeperSync", options, { ...zooKeeperPartKinds, root: rootKind });
  return new LeaseSync(new ObservedLeases(new ZooKeeperLeaseRecords(options)), {
    reach: "backend",
    fairness: "process",
    durability: "power-loss",
  });
}

/** The znodes of leases below a root. */
class ZooKeeperLeaseRecords extends ZooKeeperPart implements LeaseRecords {
  readonly name = "zookeeper";
  readonly #root: string;
  readonly #watches = new Set<FollowedTree>();
  /**
   * The version that a znode had at a transaction, by its key. A version alone does not identify a
   * state: it begins at 0 again in a znode that was deleted and created.
   */
  readonly #versions = new Map<string, { readonly revision: bigint; readonly version: number }>();

  constructor({ root = "/micro/sync", ...options }: ZooKeeperSyncOptions) {
    super(options, "sync");
    this.#root = root;
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    const path = this.#pathOf(key);
    // The server that responds may not have seen the latest writes yet.
    const reading = this.link.callAll([sync(path), getData(path)], `read the lease ${key}`);
    const found = await orAbsent(reading);
    if (found === undefined) return undefined;
    const [, { data, stat }] = found;
    return this.#recordOf(key, data, stat);
  }

  async put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    const what = `write the lease ${key}`;
    if (ifRevision === 0n) return this.#create(key, value, what);
    return this.#replace(key, value, ifRevision, what);
  }

  /** A deleted znode would begin at version 0 again, so its data are deleted instead. */
  async delete(key: string, ifRevision: bigint): Promise<boolean> {
    const none = new Uint8Array();
    return (await this.#replace(key, none, ifRevision, `release ${key}`)) !== undefined;
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    const shape = { root: this.#pathOf(key), depth: 0, most: 1 };
    const tree = new FollowedTree(this.link, shape, `wait for ${key}`, {
      snapshot: ([znode]) => watcher.changed(znode && this.#recordOf(key, znode.data, znode.stat)),
      change: (_path, znode) =>
        watcher.changed(znode && this.#recordOf(key, znode.data, znode.stat)),
      failed: () => watcher.failed(),
    });
    this.#watches.add(tree);
    return () => {
      this.#watches.delete(tree);
      void tree.close();
    };
  }

  async list(closing: AbortSignal): Promise<LeaseRecordList> {
    const what = "list leases";
    const shape = { root: this.#root, depth: 1, most: maxListed };
    await orAbsent(this.link.call(sync(this.#root), what, closing));
    const znodes = await readTree(this.link, shape, what, closing);
    const records = znodes.flatMap(({ path, data, stat }) => {
      const key = path === this.#root ? undefined : decodeName(path.slice(this.#root.length + 1));
      return key === undefined || data.length === 0
        ? []
        : [{ key, revision: stat.mzxid, value: data }];
    });
    return { records };
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#watches].map((tree) => tree.close()));
  }

  async #create(key: string, value: Uint8Array, what: string): Promise<bigint | undefined> {
    const path = this.#pathOf(key);
    const creation = create({ path, data: value, acl: this.acl });
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#remember(key, (await this.link.call(creation, what)).stat);
      } catch (error) {
        const { code } = asMicroError(error);
        if (code === "already_exists") return undefined;
        if (code !== "not_found" || attempt > 1) throw error;
        await ensurePath(this.link, this.#root, this.acl, what);
      }
    }
  }

  async #replace(
    key: string,
    value: Uint8Array,
    ifRevision: bigint,
    what: string,
  ): Promise<bigint | undefined> {
    const version = await this.#versionAt(key, ifRevision);
    if (version === undefined) return undefined;
    try {
      const stat = await this.link.call(setData(this.#pathOf(key), value, version), what);
      return this.#remember(key, stat);
    } catch (error) {
      const { code } = asMicroError(error);
      if (code === "aborted" || code === "not_found") return undefined;
      throw error;
    }
  }

  async #versionAt(key: string, revision: bigint): Promise<number | undefined> {
    if (this.#versions.get(key)?.revision !== revision) await this.get(key);
    const known = this.#versions.get(key);
    return known?.revision === revision ? known.version : undefined;
  }

  #recordOf(key: string, data: Uint8Array, stat: Stat): LeaseRecord {
    const revision = this.#remember(key, stat);
    return { revision, value: data.length === 0 ? undefined : data };
  }

  /** @returns the revision. */
  #remember(key: string, { mzxid: revision, version }: Stat): bigint {
    this.#versions.delete(key);
    this.#versions.set(key, { revision, version });
    if (this.#versions.size > maxVersions) {
      for (const oldest of this.#versions.keys()) {
        this.#versions.delete(oldest);
        break;
      }
    }
    return revision;
  }

  #pathOf(name: string): string {
    return `${this.#root}/${encodeName(name)}`;
  }
}

/** Any name as that of a znode, which takes no slash, no control characters and no lone dots. */
function encodeName(name: string): string {
  return encodeURIComponent(name).replaceAll(".", "%2E");
}

/** The name of a znode's lease; undefined if {@link encodeName} did not write it. */
function decodeName(znode: string): string | undefined {
  try {
    const name = decodeURIComponent(znode);
    return encodeName(name) === znode ? name : undefined;
  } catch {
    return undefined;
  }
}
