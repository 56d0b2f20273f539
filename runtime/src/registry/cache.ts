import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { closingController } from "./closing.ts";
import {
  defaultTtlMs,
  type Node,
  type RegisterOptions,
  type Registration,
  type Registry,
  type RegistryEvent,
  type RegistryGuarantees,
} from "./registry.ts";
import { untilAborted } from "./until-aborted.ts";
import { validateServiceName } from "./validate.ts";
import { WatchedNodes } from "./watch.ts";

/** Options of {@link cachedRegistry}. */
export interface CachedRegistryOptions {
  /**
   * The most services that are kept. Beyond it the one that was not asked for longest goes; when all are
   * being watched, further ones are read from the underlying registry. Default 1,024.
   */
  readonly maxServices?: number;
  /**
   * After a loss of the underlying registry, nodes that it no longer has are kept this long in
   * milliseconds, because they may only not have registered again yet. Choose at least the ttl of the
   * registrations. Default 15,000.
   */
  readonly graceMs?: number;
  readonly logger?: Logger;
}

/** What {@link cachedRegistry} returns. */
export interface CachedRegistry extends Registry {
  /**
   * How old the knowledge of a service is, in milliseconds: 0 while the underlying registry is followed,
   * the time since it was lost otherwise, undefined for a service that is not kept.
   */
  ageMs(service: string): number | undefined;
}

/**
 * Serves `get` and `watch` from one watch of another registry for each service, however many read it, and
 * goes on with the last known nodes when the other one is lost: its state is then `degraded`. Closing it
 * closes the other one.
 */
export function cachedRegistry(
  registry: Registry,
  options: CachedRegistryOptions = {},
): CachedRegistry {
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
  /** Nodes that the underlying registry has not, but whose removal waits. */
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

  /** @param hold whether removals wait until {@link release}. */
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

class CachingRegistry implements CachedRegistry {
  readonly name: string;
  readonly guarantees: RegistryGuarantees;
  readonly #registry: Registry;
  readonly #maxServices: number;
  readonly #graceMs: number;
  readonly #logger: Logger;
  readonly #services = new Map<string, CachedService>();
  readonly #followers = new Set<Promise<void>>();
  readonly #status = new BackendStatus();
  readonly #closed: AbortController = closingController();
  readonly #unsubscribe: () => void;
  #names: readonly string[] | undefined;
  #lostAt: number | undefined;
  #holdUntil = 0;
  #holdTimer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(registry: Registry, options: CachedRegistryOptions) {
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
    this.#logger = options.logger ?? silentLogger;
    this.#unsubscribe = registry.onStateChange((state, reason) => this.#onState(state, reason));
    if (registry.state !== "healthy") this.#onState(registry.state, undefined);
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
    validateServiceName(name);
    this.#checkOpen(`get ${name}`, options.signal);
    const service = this.#use(name);
    if (service === undefined) return this.#registry.get(name, options);
    if (service.known) return service.nodes.list();
    // The watch only begins when the backend can be reached; this tells when it cannot.
    const nodes = await untilAborted(
      Promise.race([service.first, this.#registry.get(name, options)]),
      options.signal,
    );
    return service.known ? service.nodes.list() : (nodes ?? []);
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
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

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#holdTimer);
    this.#unsubscribe();
    for (const service of this.#services.values()) {
      service.ended.abort();
      service.nodes.end();
    }
    this.#services.clear();
    await this.#registry.close();
    await Promise.all(this.#followers);
  }

  /** The service, followed from now on; undefined when there is no room for another. */
  #use(name: string): CachedService | undefined {
    let service = this.#services.get(name);
    if (service === undefined) {
      if (this.#services.size >= this.#maxServices && !this.#evict()) return undefined;
      service = new CachedService(name);
      const follower = this.#follow(service).finally(() => this.#followers.delete(follower));
      this.#followers.add(follower);
    }
    // Set anew so that the map is in the order of use.
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

  /** Watches the underlying registry until the service is dropped, whatever becomes of the watch. */
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
      await pause(retryMs * (0.5 + Math.random()), signal);
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
      // Lost again: what is held waits for the next recovery.
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
    if (signal?.aborted === true) {
      throw asMicroError(signal.reason, "canceled", { outcome: "not-executed" });
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
