import { pauseUntilAborted, throwIfAborted, untilAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import { type Logger, silentLogger } from "../../base/logger.ts";
import { checkOptions, count, durationMs, logger } from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import { closeInOrder } from "../../base/settle-all.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import { checkReadOptions } from "../option-kinds.ts";
import {
  defaultTtlMs,
  type Node,
  type RegisterOptions,
  type Registration,
  type Registry,
  type RegistryEvent,
  type RegistryGuarantees,
} from "../registry.ts";
import { validateServiceName } from "../validate.ts";
import { WatchedNodes } from "../watched-nodes.ts";

/** Options for {@link cachedRegistry}. */
export interface CachedRegistryOptions {
  /**
   * Maximum number of services kept. Beyond it the least recently used one is dropped; when all are
   * being watched, further ones are read from the underlying registry. Default 1,024.
   */
  readonly maxServices?: number;
  /**
   * After the underlying registry was lost and has recovered, nodes missing from it are kept this
   * long, in milliseconds, because they may not have re-registered yet. Choose at least the ttl of
   * the registrations. Default 15,000.
   */
  readonly graceMs?: number;
  readonly logger?: Logger;
}

/** The registry returned by {@link cachedRegistry}. */
export interface CachedRegistry extends Registry {
  /**
   * Age of the data about a service, in milliseconds: 0 while the underlying registry is being
   * watched, otherwise the time since it was lost; undefined for a service that is not cached.
   */
  ageMs(service: string): number | undefined;
}

/**
 * Serves `get` and `watch` from a single watch of another registry per service, for any number of
 * readers. When the other registry is lost, it keeps serving the last known nodes and its state is
 * `degraded`. Closing it closes the other registry.
 *
 * @example
 * ```ts
 * import { cachedRegistry, createClient, mdnsRegistry } from "@micro-es/runtime";
 *
 * const registry = cachedRegistry(mdnsRegistry());
 * const client = createClient({ registry });
 * ```
 */
export function cachedRegistry(
  registry: Registry,
  options: CachedRegistryOptions = {},
): CachedRegistry {
  checkOptions("cachedRegistry", options, { maxServices: count, graceMs: durationMs(0), logger });
  return new CachingRegistry(registry, options);
}

const firstRetryMs = 100;
const longestRetryMs = 10_000;

class CachedService {
  readonly name: string;
  readonly nodes: WatchedNodes = new WatchedNodes();
  readonly ended: AbortController = new AbortController();
  /** Resolves with the first snapshot. */
  readonly first: Promise<void>;
  /** Nodes missing from the underlying registry whose removal is deferred. */
  readonly held: Set<string> = new Set();
  known = false;
  /** When the watch of the underlying registry broke; undefined while it runs. */
  brokenAt: number | undefined;
  #onFirst: () => void = () => {};

  constructor(name: string) {
    this.name = name;
    this.first = new Promise((resolve) => {
      this.#onFirst = resolve;
    });
  }

  /** @param hold whether removals are deferred until {@link release}. */
  apply(event: RegistryEvent, hold: boolean): void {
    switch (event.type) {
      case "snapshot":
        this.#applySnapshot(event.nodes, hold);
        break;
      case "removed":
        if (hold) this.held.add(event.node.id);
        else this.nodes.delete(event.node.id);
        break;
      default:
        this.held.delete(event.node.id);
        this.nodes.put(event.node);
    }
  }

  release(): void {
    for (const id of this.held) this.nodes.delete(id);
    this.held.clear();
  }

  #applySnapshot(nodes: readonly Node[], hold: boolean): void {
    this.held.clear();
    if (hold) {
      const present = new Set(nodes.map(({ id }) => id));
      const missing = this.nodes.list().filter(({ id }) => !present.has(id));
      for (const { id } of missing) this.held.add(id);
      this.nodes.replace([...nodes, ...missing]);
    } else {
      this.nodes.replace(nodes);
    }
    this.known = true;
    this.#onFirst();
  }
}

class CachingRegistry extends Closable implements CachedRegistry {
  readonly name: string;
  readonly guarantees: RegistryGuarantees;
  readonly #registry: Registry;
  readonly #maxServices: number;
  readonly #graceMs: number;
  readonly #logger: PartLogger;
  readonly #services = new Map<string, CachedService>();
  readonly #followers = new Set<Promise<void>>();
  readonly #status = new BackendStatus();
  readonly #closed: AbortController = sharedAbortController();
  readonly #unsubscribe: () => void;
  #names: readonly string[] | undefined;
  #lostAt: number | undefined;
  #holdUntil = 0;
  #holdTimer: NodeJS.Timeout | undefined;

  constructor(registry: Registry, options: CachedRegistryOptions) {
    super();
    const { maxServices = 1_024, graceMs = defaultTtlMs } = options;
    if (!Number.isInteger(maxServices) || maxServices < 1 || !(graceMs >= 0)) {
      throw new MicroError(
        "invalid_argument",
        "cachedRegistry: maxServices must be at least 1 and graceMs at least 0",
        { outcome: "not-executed" },
      );
    }
    this.name = `cache(${registry.name})`;
    this.guarantees = { ...registry.guarantees, consistency: "eventual" };
    this.#registry = registry;
    this.#maxServices = maxServices;
    this.#graceMs = graceMs;
    this.#logger = new PartLogger(options.logger, silentLogger);
    this.#unsubscribe = registry.onStateChange((state, reason) => this.#onState(state, reason));
    if (registry.state !== "healthy") this.#onState(registry.state, undefined);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
    this.#registry.useLogger?.(logger);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  ageMs(name: string): number | undefined {
    const service = this.#services.get(name);
    if (service === undefined || !service.known) return undefined;
    const since = service.brokenAt ?? this.#lostAt;
    return since === undefined ? 0 : performance.now() - since;
  }

  register(node: Node, options?: RegisterOptions): Promise<Registration> {
    return this.#registry.register(node, options);
  }

  async get(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    checkReadOptions(`get ${name}`, options);
    validateServiceName(name);
    this.#checkOpen(`get ${name}`, options.signal);
    const service = this.#use(name);
    if (service === undefined) return this.#registry.get(name, options);
    if (service.known) return service.nodes.list();
    // The watch starts only once the backend is reachable; this reports that it is not.
    const nodes = await untilAborted(
      Promise.race([service.first, this.#registry.get(name, options)]),
      options.signal,
    );
    return service.known ? service.nodes.list() : (nodes ?? []);
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    this.#checkOpen("list services", options.signal);
    try {
      this.#names = await this.#registry.list(options);
      return this.#names;
    } catch (reason) {
      const error = asMicroError(reason, "unavailable");
      if (error.code !== "unavailable" || this.#names === undefined) throw error;
      return this.#names;
    }
  }

  watch(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${name}`, options);
    validateServiceName(name);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        const service = this.#closed.signal.aborted ? new CachedService(name) : this.#use(name);
        const source =
          service === undefined
            ? this.#registry.watch(name, options)
            : service.nodes.watch({ signals, onBegin: () => service.first });
        return source[Symbol.asyncIterator]();
      },
    };
  }

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#holdTimer);
    this.#unsubscribe();
    for (const service of this.#services.values()) {
      service.ended.abort();
      service.nodes.end();
    }
    this.#services.clear();
    await closeInOrder(
      () => this.#registry.close(),
      () => Promise.all(this.#followers),
    );
  }

  /** Returns the service, watched from now on; undefined when there is no room for another. */
  #use(name: string): CachedService | undefined {
    let service = this.#services.get(name);
    if (service === undefined) {
      if (this.#services.size >= this.#maxServices && !this.#evict()) return undefined;
      service = new CachedService(name);
      const follower = this.#follow(service).finally(() => this.#followers.delete(follower));
      this.#followers.add(follower);
    }
    // Re-inserted so that the map stays in order of use.
    this.#services.delete(name);
    this.#services.set(name, service);
    return service;
  }

  #evict(): boolean {
    for (const service of this.#services.values()) {
      if (service.nodes.watchers > 0) continue;
      this.#services.delete(service.name);
      service.ended.abort();
      return true;
    }
    return false;
  }

  /**
   * Watches the underlying registry until the service is dropped, restarting the watch when it
   * ends.
   */
  async #follow(service: CachedService): Promise<void> {
    const { signal } = service.ended;
    let retryMs = firstRetryMs;
    while (!signal.aborted) {
      try {
        for await (const event of this.#registry.watch(service.name, { signal })) {
          const broken = service.brokenAt !== undefined;
          if (broken && service.known) this.#hold();
          service.brokenAt = undefined;
          retryMs = firstRetryMs;
          service.apply(event, this.#holding());
          if (broken) this.#report();
        }
      } catch (reason) {
        this.#logger.warn({ service: service.name, reason }, "the watch of a service broke");
      }
      if (signal.aborted) return;
      service.brokenAt ??= performance.now();
      this.#report();
      await pauseUntilAborted(retryMs * (0.5 + Math.random()), signal);
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  }

  #onState(state: BackendState, reason: MicroError | undefined): void {
    if (state === "healthy") {
      if (this.#lostAt === undefined) return;
      this.#lostAt = undefined;
      this.#hold();
    } else {
      this.#lostAt ??= performance.now();
    }
    this.#report(reason);
  }

  #report(reason?: MicroError): void {
    const broken = [...this.#services.values()].some(({ brokenAt }) => brokenAt !== undefined);
    const well = this.#lostAt === undefined && !broken;
    const stale = new MicroError(
      "unavailable",
      `${this.name} serves the last known nodes: the registry below cannot be followed`,
    );
    this.#status.set(well ? "healthy" : "degraded", well ? undefined : (reason ?? stale));
  }

  #holding(): boolean {
    return this.#lostAt !== undefined || performance.now() < this.#holdUntil;
  }

  #hold(): void {
    this.#holdUntil = performance.now() + this.#graceMs;
    clearTimeout(this.#holdTimer);
    this.#holdTimer = setTimeout(() => {
      // Lost again: the deferred removals wait for the next recovery.
      if (this.#lostAt !== undefined) return;
      this.#holdUntil = 0;
      for (const service of this.#services.values()) service.release();
    }, this.#graceMs);
    this.#holdTimer.unref();
  }

  #checkOpen(what: string, signal: AbortSignal | undefined): void {
    if (this.#closed.signal.aborted) {
      throw new MicroError("unavailable", `cannot ${what}: the registry is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }
}
