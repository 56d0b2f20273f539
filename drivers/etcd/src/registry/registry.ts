import {
  type Deadline,
  type Logger,
  type Node,
  type Registry,
  type RegistryEvent,
  silentLogger,
} from "@micro-es/runtime";
import {
  checkOptions,
  checkReadOptions,
  checkRegisterOptions,
  closeInOrder,
  DeadlineSweep,
  isServiceName,
  logger,
  maxNodesPerService,
  PartLogger,
  type RegisterOptions,
  type Registration,
  type RegistryGuarantees,
  sharedAbortController,
  untilAborted,
  validateNode,
  validateServiceName,
  WatchedNodes,
} from "@micro-es/runtime/driver";
import { readRange, withPrefix } from "../link/entries.ts";
import { etcdFailure } from "../link/failure.ts";
import { etcdPartKinds } from "../link/options.ts";
import { EtcdPart, type EtcdPartOptions, prefixKind } from "../link/part.ts";
import type { EtcdWatch } from "../link/watches.ts";
import { FollowedService } from "./followed-service.ts";
import { nodesPrefix, serviceOf, servicesPrefix } from "./record.ts";
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

/** A service that is no longer requested is followed this much longer. */
const lingerMs = 60_000;
const sweepGapMs = 20;
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
  return new EtcdRegistry(options);
}

class EtcdRegistry extends EtcdPart implements Registry {
  readonly name = "etcd";
  readonly guarantees: RegistryGuarantees = {
    reach: "backend",
    consistency: "eventual",
    liveness: "lease",
  };
  readonly #prefix: string;
  readonly #logger: PartLogger;
  readonly #services = new Map<
    string,
    { readonly nodes: FollowedService; readonly watch: EtcdWatch }
  >();
  readonly #registrations = new Map<string, EtcdRegistration>();
  readonly #closed: AbortController = sharedAbortController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now), sweepGapMs);

  constructor({ prefix = "/micro/registry", logger, ...options }: EtcdRegistryOptions) {
    super(options, "registry");
    this.#prefix = prefix;
    this.#logger = new PartLogger(logger, silentLogger);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const ttlMs = checkRegisterOptions(node, options);
    const what = `register ${valid.id}`;
    this.check(what, options.signal);
    const onClose = () => {
      if (this.#registrations.get(valid.id) === registration) this.#registrations.delete(valid.id);
    };
    const place = {
      link: this.link,
      watches: this.watches,
      prefix: this.#prefix,
      logger: this.#logger,
    };
    const registration = new EtcdRegistration(valid, ttlMs, place, onClose, options.onTakenOver);
    const before = this.#registrations.get(valid.id);
    before?.replaced();
    this.#registrations.set(valid.id, registration);
    try {
      await untilAborted(registration.begin(), options.signal);
      this.check(what, options.signal);
    } catch (error) {
      const closing = registration.close();
      // An abort is reported at once. Closing waits for etcd, and logs its own failure.
      if (options.signal?.aborted !== true) {
        await closing;
        this.check(what, undefined);
      }
      throw etcdFailure(error, what);
    }
    return registration;
  }

  async get(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    const what = `get ${service}`;
    checkReadOptions(what, options);
    validateServiceName(service);
    this.check(what, options.signal);
    const followed = this.#follow(service);
    await untilAborted(followed.known(), options.signal);
    this.check(what, options.signal);
    return followed.nodes.list();
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    const what = "list services";
    checkReadOptions(what, options);
    this.check(what, options.signal);
    const { signal } = options;
    // Not the records: a process that may write a key may also write a valid record.
    const reading = readRange(this.link, withPrefix(servicesPrefix(this.#prefix)), what, {
      keysOnly: true,
      ...(signal === undefined ? {} : { signal }),
    });
    const { entries } = await untilAborted(reading, signal);
    this.check(what, signal);
    const names = new Set<string>();
    for (const { key } of entries) {
      const name = serviceOf(this.#prefix, key);
      if (name !== undefined && isServiceName(name)) names.add(name);
    }
    return [...names].sort();
  }

  watch(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        if (signals.some((signal) => signal?.aborted === true)) {
          // Ended already, so the service need not be followed.
          return new WatchedNodes().watch({ signals })[Symbol.asyncIterator]();
        }
        const followed = this.#follow(service);
        const onBegin = () => followed.eventuallyKnown(this.#closed.signal);
        return followed.nodes.watch({ signals, onBegin })[Symbol.asyncIterator]();
      },
    };
  }

  protected override async end(): Promise<void> {
    this.#closed.abort();
    this.#sweep.close();
    await closeInOrder(
      () => Promise.all([...this.#registrations.values()].map((each) => each.close())),
      () => {
        for (const { nodes, watch } of this.#services.values()) {
          watch.close();
          nodes.close();
        }
        this.#services.clear();
      },
    );
  }

  #follow(service: string): FollowedService {
    let followed = this.#services.get(service);
    if (followed === undefined) {
      const nodes = new FollowedService(service, this.#prefix, this.#logger, (until) =>
        this.#wake(until),
      );
      const keys = withPrefix(nodesPrefix(this.#prefix, service));
      const watch = this.watches.watch(keys, `follow ${service}`, maxRecords, nodes);
      followed = { nodes, watch };
      this.#services.set(service, followed);
    }
    followed.nodes.usedAt = performance.now();
    this.#wake(followed.nodes.usedAt + lingerMs);
    return followed.nodes;
  }

  #wake(at: Deadline): void {
    if (!this.#closed.signal.aborted) this.#sweep.watch(at);
  }

  #expire(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const [service, { nodes, watch }] of this.#services) {
      next = Math.min(next, nodes.expire(now, this.link.connected));
      if (nodes.nodes.watchers > 0) continue;
      const forgetAt = nodes.usedAt + lingerMs;
      if (forgetAt > now) {
        next = Math.min(next, forgetAt);
        continue;
      }
      watch.close();
      nodes.close();
      this.#services.delete(service);
    }
    return next;
  }
}
