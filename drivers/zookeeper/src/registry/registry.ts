import type { Logger, MicroError, Registry } from "@micro-es/runtime";
import {
  checkOptions,
  FollowedRegistry,
  type Following,
  logger,
  maxNodesPerService,
  type NodeBackend,
  type NodeFollower,
  type RegistrationClaim,
  type StoredNode,
} from "@micro-es/runtime/driver";
import { zooKeeperFailure } from "../link/failure.ts";
import { FollowedTree } from "../link/followed-tree.ts";
import { ZooKeeperLink } from "../link/link.ts";
import { zooKeeperPartKinds } from "../link/options.ts";
import { rootKind, ZooKeeperPart, type ZooKeeperPartOptions } from "../link/part.ts";
import { orAbsent, readTree, type Znode } from "../link/tree.ts";
import { sync } from "../wire/operations.ts";
import { decodeRecord, serviceRoot } from "./record.ts";
import { ZooKeeperRegistration } from "./registration.ts";

/** Where a {@link zooKeeperRegistry} keeps its nodes, and how it connects. */
export type ZooKeeperRegistryOptions = ZooKeeperPartOptions & {
  /**
   * The path of all services; a different path is a separate fleet. Default `/micro-registry`, as
   * in go-micro.
   */
  readonly root?: string;
  readonly logger?: Logger;
};

/** The most records of a service that are read: up to half of them may be invalid. */
const maxRecords = 2 * maxNodesPerService;
const maxServices = 100_000;
/** The longest timeout of a session that is asked for; ZooKeeper grants less by default. */
const longestSessionMs = 60_000;

/**
 * A registry in ZooKeeper (3.6 and later). A node is an ephemeral znode, which ends with a session
 * of its process; a process that requests a service follows its znodes, so `get` is served from
 * memory. While ZooKeeper is unreachable, every process keeps the last known state. Znodes are
 * those of go-micro, so services written in Go can be discovered and can discover these.
 *
 * A session lasts for two ticks of ZooKeeper at least, which are 4 s by default.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { zooKeeperRegistry } from "@micro-es/zookeeper";
 *
 * const service = createService({
 *   name: "greeter",
 *   registry: zooKeeperRegistry({ servers: ["10.0.0.5:2181", "10.0.0.6:2181"] }),
 * });
 * ```
 */
export function zooKeeperRegistry(options: ZooKeeperRegistryOptions = {}): Registry {
  checkOptions("zooKeeperRegistry", options, { ...zooKeeperPartKinds, root: rootKind, logger });
  return new FollowedRegistry(new ZooKeeperNodes(options), options.logger);
}

/** The znodes of services below a root. */
class ZooKeeperNodes extends ZooKeeperPart implements NodeBackend {
  readonly name = "zookeeper";
  readonly expiry = "backend";
  readonly failure = zooKeeperFailure;
  readonly #root: string;
  /** By service. */
  readonly #followed = new Map<string, FollowedTree>();
  /** The sessions that nodes end with, by their ttl. */
  readonly #sessions = new Map<number, ZooKeeperLink>();

  constructor({ root = "/micro-registry", logger: _, ...options }: ZooKeeperRegistryOptions) {
    super(options, "registry");
    this.#root = root;
  }

  follow(service: string, follower: NodeFollower, logger: Logger): Following {
    const { link } = this;
    const shape = { root: serviceRoot(this.#root, service), depth: 1, most: maxRecords + 1 };
    let warned = false;
    const tree = new FollowedTree(link, shape, `follow ${service}`, {
      snapshot: (znodes) => {
        warned = false;
        const nodes = znodes.filter(({ path }) => path !== shape.root);
        nodes.sort((a, b) => Number(a.stat.mzxid - b.stat.mzxid));
        follower.snapshot(
          nodes.map((znode) => this.#stored(znode)),
          znodes.length >= shape.most,
        );
      },
      change: (path, znode) => {
        if (path === shape.root) return;
        if (znode === undefined) follower.delete(path);
        else follower.put(this.#stored(znode));
      },
      failed: (error: MicroError, isRefused) => {
        follower.failed(error);
        if (!isRefused || warned) return;
        warned = true;
        logger.warn(
          { service, error },
          "ZooKeeper refuses to list the nodes of a service; trying again",
        );
      },
      resumed: (gapMs) => follower.resumed(gapMs),
    });
    this.#followed.set(service, tree);
    return {
      get isCurrent() {
        return link.connected;
      },
      close: () => {
        if (this.#followed.get(service) === tree) this.#followed.delete(service);
        return tree.close();
      },
    };
  }

  async names(what: string, signal: AbortSignal | undefined): Promise<Iterable<string>> {
    await orAbsent(this.link.call(sync(this.#root), what, signal));
    const shape = { root: this.#root, depth: 1, most: maxServices };
    const znodes = await readTree(this.link, shape, what, signal);
    // The znode of a service stays when its last node is gone.
    return znodes
      .filter(({ path, stat }) => path !== this.#root && stat.numChildren > 0)
      .map(({ path }) => path.slice(this.#root.length + 1));
  }

  registration(claim: RegistrationClaim): ZooKeeperRegistration {
    const link = this.#sessionFor(claim.ttlMs);
    return new ZooKeeperRegistration(claim, {
      link,
      root: this.#root,
      acl: this.acl,
      refresh: async (service, path) => this.#followed.get(service)?.refresh(path),
    });
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()));
  }

  /** The shared session, if it ends soon enough; otherwise another one. */
  #sessionFor(ttlMs: number): ZooKeeperLink {
    if (this.link.askedSessionTimeoutMs <= ttlMs) return this.link;
    const timeoutMs = Math.min(ttlMs, longestSessionMs);
    let session = this.#sessions.get(timeoutMs);
    if (session === undefined) {
      session = new ZooKeeperLink({ ...this.link.options, sessionTimeoutMs: timeoutMs });
      this.#sessions.set(timeoutMs, session);
    }
    return session;
  }

  #stored({ path, data }: Znode): StoredNode {
    return { key: path, decode: () => decodeRecord(this.#root, path, data) };
  }
}
