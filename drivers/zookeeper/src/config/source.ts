import { type ConfigSource, MicroError } from "@micro-es/runtime";
import {
  type ConfigEntries,
  type ConfigEntriesFollower,
  type ConfigEntry,
  type ConfigSourceGuarantees,
  checkOptions,
  EntriesSource,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import { FollowedTree } from "../link/followed-tree.ts";
import { zooKeeperPartKinds } from "../link/options.ts";
import { rootKind, ZooKeeperPart, type ZooKeeperPartOptions } from "../link/part.ts";
import { orAbsent, readTree, type TreeShape, type Znode } from "../link/tree.ts";
import { sync } from "../wire/operations.ts";

/** The znodes that a {@link zooKeeperSource} reads, and how it connects. */
export type ZooKeeperSourceOptions = ZooKeeperPartOptions & {
  /**
   * The path of all values, which is removed: with `/apps/shop`, the znode
   * `/apps/shop/database/host` is `database.host`. The znode `/apps/shop` itself may hold a table
   * of all values as JSON. Default `/micro/config`.
   */
  readonly root?: string;
};

const maxDepth = 32;
/** Some more than an {@link EntriesSource} takes, so that it reports the problem. */
const maxZnodes = 20_000;
const maxReadings = 10;

/**
 * Configuration from the znodes of ZooKeeper (3.6 and later), followed as it changes. A znode such
 * as `/micro/config/database/host` is the value at the path `database.host`. Data that are JSON are
 * parsed, including tables; any other are text, and a znode without data has no value. So a change
 * takes only `set /micro/config/database/pool 10` in `zkCli.sh`, and changes made in one
 * transaction become visible together.
 *
 * While the znodes cannot be read, or contain invalid values, the last good values stay in force.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { loadConfig } from "@micro-es/runtime";
 * import { zooKeeperSource } from "@micro-es/zookeeper";
 *
 * const config = await loadConfig([zooKeeperSource({ root: "/apps/shop" })]);
 * ```
 */
export function zooKeeperSource(options: ZooKeeperSourceOptions = {}): ConfigSource {
  checkOptions("zooKeeperSource", options, { ...zooKeeperPartKinds, root: rootKind });
  return new EntriesSource(new ZooKeeperConfigEntries(options));
}

/** The znodes at and below a path. */
class ZooKeeperConfigEntries extends ZooKeeperPart implements ConfigEntries {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "backend",
    watch: true,
    consistency: "table",
  };
  readonly #shape: TreeShape;
  readonly #trees = new Set<FollowedTree>();
  readonly #closing = new AbortController();

  constructor({ root = "/micro/config", ...options }: ZooKeeperSourceOptions) {
    super(options, "config source");
    this.#shape = { root, depth: maxDepth, most: maxZnodes };
    this.name = `zookeeper:${root}`;
  }

  async readAll(signals: readonly (AbortSignal | undefined)[]): Promise<readonly ConfigEntry[]> {
    for (const signal of signals) throwIfAborted(signal);
    return (await untilAborted(this.#readAtOnce(), signals)).map((znode) =>
      this.#entryOf(znode.path, znode),
    );
  }

  follow(follower: ConfigEntriesFollower): () => void {
    const tree = new FollowedTree(
      this.link,
      this.#shape,
      `follow ${this.name}`,
      {
        snapshot: (znodes) =>
          follower.snapshot(znodes.map((znode) => this.#entryOf(znode.path, znode))),
        change: (path, znode) => follower.change(this.#entryOf(path, znode)),
        failed: (reason) => follower.failed(reason),
      },
      { isAtomic: true },
    );
    this.#trees.add(tree);
    return () => {
      this.#trees.delete(tree);
      void tree.close();
    };
  }

  protected override async end(): Promise<void> {
    this.#closing.abort(this.closedError(`load ${this.name}`));
    await Promise.all([...this.#trees].map((tree) => tree.close()));
  }

  /** Reads until nothing has changed between two readings: both are then of one time. */
  async #readAtOnce(): Promise<readonly Znode[]> {
    const what = `load ${this.name}`;
    const { signal } = this.#closing;
    await orAbsent(this.link.call(sync(this.#shape.root), what, signal));
    let [before, last]: [string, readonly Znode[]] = ["", []];
    for (let reading = 0; reading < maxReadings; reading++) {
      last = await readTree(this.link, this.#shape, what, signal);
      const state = JSON.stringify(last.map(({ path, stat }) => [path, `${stat.mzxid}`]).sort());
      if (state === before) return last;
      before = state;
    }
    throw new MicroError("aborted", `cannot ${what}: its znodes change all the time`, {
      outcome: "not-executed",
    });
  }

  /** ZooKeeper has no folders: a znode without data may be one, and has no value. */
  #entryOf(path: string, znode: Znode | undefined): ConfigEntry {
    const rest = path.slice(this.#shape.root.length + 1);
    const data = znode?.data;
    const value = data === undefined || data.length === 0 ? undefined : data;
    return { key: path, path: rest === "" ? [] : rest.split("/"), value };
  }
}
