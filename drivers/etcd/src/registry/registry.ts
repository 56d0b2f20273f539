import type { Logger, Registry } from "@micro-es/runtime";
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
import { type EtcdEntry, readRange, withPrefix } from "../link/entries.ts";
import { etcdFailure } from "../link/failure.ts";
import { etcdPartKinds } from "../link/options.ts";
import { EtcdPart, type EtcdPartOptions, prefixKind } from "../link/part.ts";
import { decodeRecord, nodesPrefix, serviceOf, servicesPrefix } from "./record.ts";
import { EtcdRegistration } from "./registration.ts";

/** Where an {@link etcdRegistry} keeps its nodes, and how it connects. */
export type EtcdRegistryOptions = EtcdPartOptions & {
  /**
   * The prefix of all node keys; a different prefix is a separate fleet. Default `/micro/registry`,
   * as in go-micro.
   */
  readonly prefix?: string;
  readonly logger?: Logger;
};

/** The most records of a service that are read: up to half of them may be invalid. */
const maxRecords = 2 * maxNodesPerService;

/**
 * A registry in etcd (3.4 and later). A node is a key on a lease that its process renews; a process
 * that requests a service follows its keys, so `get` is served from memory. While etcd is
 * unreachable, every process keeps the last known state. Keys and records are go-micro's, so
 * services written in Go can be discovered and can discover these.
 *
 * etcd grants leases of whole seconds, and none shorter than its elections take: 2 s by default.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { etcdRegistry } from "@micro-es/etcd";
 * import { createService } from "@micro-es/runtime";
 *
 * const service = createService({
 *   name: "greeter",
 *   registry: etcdRegistry({ endpoints: ["http://10.0.0.5:2379", "http://10.0.0.6:2379"] }),
 * });
 * ```
 */
export function etcdRegistry(options: EtcdRegistryOptions = {}): Registry {
  checkOptions("etcdRegistry", options, { ...etcdPartKinds, prefix: prefixKind, logger });
  return new FollowedRegistry(new EtcdNodes(options), options.logger);
}

/** The keys of nodes below a prefix. */
class EtcdNodes extends EtcdPart implements NodeBackend {
  readonly name = "etcd";
  readonly expiry = "backend";
  readonly failure = etcdFailure;
  readonly #prefix: string;

  constructor({ prefix = "/micro/registry", logger: _, ...options }: EtcdRegistryOptions) {
    super(options, "registry");
    this.#prefix = prefix;
  }

  follow(service: string, follower: NodeFollower): Following {
    const { link } = this;
    const keys = withPrefix(nodesPrefix(this.#prefix, service));
    const watch = this.watches.watch(keys, `follow ${service}`, maxRecords, {
      snapshot: ({ entries, truncated }) =>
        follower.snapshot(
          entries.map((entry) => this.#stored(entry)),
          truncated,
        ),
      change: (entry) => {
        if (entry.deleted) follower.delete(entry.key);
        else follower.put(this.#stored(entry));
      },
      failed: (reason) => follower.failed(reason),
      resumed: (gapMs) => follower.resumed(gapMs),
    });
    return {
      get isCurrent() {
        return link.connected;
      },
      close: () => watch.close(),
    };
  }

  async names(what: string, signal: AbortSignal | undefined): Promise<Iterable<string>> {
    // Not the records: a process that may write a key may also write a valid record.
    const { entries } = await readRange(this.link, withPrefix(servicesPrefix(this.#prefix)), what, {
      keysOnly: true,
      ...(signal === undefined ? {} : { signal }),
    });
    return entries.flatMap(({ key }) => serviceOf(this.#prefix, key) ?? []);
  }

  registration(claim: RegistrationClaim): EtcdRegistration {
    return new EtcdRegistration(claim, this.link, this.watches, this.#prefix);
  }

  #stored({ key, value }: EtcdEntry): StoredNode {
    return { key, decode: () => decodeRecord(this.#prefix, key, value) };
  }
}
