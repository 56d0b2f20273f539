import { setTimeout as sleep } from "node:timers/promises";
import { Closable } from "../base/closable.ts";
import { turnNow } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import {
  callback,
  checkOptions,
  count,
  durationMs,
  list,
  logger,
  numberBetween,
  type OptionKindsOf,
  optionsOf,
  orFalse,
  part,
  required,
} from "../base/option-check.ts";
import { registry } from "../base/option-kinds.ts";
import { PartLogger } from "../base/part-logger.ts";
import type { Registry, RegistryEvent } from "../registry/registry.ts";
import { defaultEjection, type EjectionPolicy } from "./ejection.ts";
import { p2c } from "./p2c.ts";
import type {
  Candidate,
  NodeChangeListener,
  NodeFilter,
  SelectOptions,
  Selector,
} from "./selector.ts";
import { ServiceNodes, type ServiceNodesOptions } from "./service-nodes.ts";
import type { Strategy } from "./strategy.ts";

/** Options for {@link createSelector}. */
export interface SelectorOptions {
  readonly registry: Registry;
  /** Default {@link p2c}. */
  readonly strategy?: Strategy;
  /** Filters for every call, in addition to the call's own. */
  readonly filters?: readonly NodeFilter[];
  /** When failing nodes are ejected; `false`: never. */
  readonly ejection?: Partial<EjectionPolicy> | false;
  /** How long a call waits for the first node of its service, in milliseconds. Default 2,000. */
  readonly discoveryTimeoutMs?: number;
  /**
   * Maximum number of services followed at once; beyond it a service not called recently is
   * dropped. Default 1,024.
   */
  readonly maxServices?: number;
  /**
   * A service that was not called for this long is no longer followed, in milliseconds. Default
   * 300,000.
   */
  readonly idleMs?: number;
  /** Default: none. */
  readonly logger?: Logger;
  /** Default `Math.random`. */
  readonly random?: () => number;
  /** Milliseconds on a monotonic clock. Default: the process's monotonic clock. */
  readonly now?: () => number;
}

const ejectionKinds: OptionKindsOf<EjectionPolicy> = {
  failures: count,
  baseMs: durationMs(0),
  maxMs: durationMs(0),
  maxShare: numberBetween(0, 1),
};

/** First and maximum delay between attempts to watch a failing registry, in milliseconds. */
const rewatchMs = { first: 100, most: 10_000 };

/** Maximum number of nodes named in a call's error. */
const namedNodes = 5;

/**
 * Creates a selector over a registry. It follows each service from its first call on, keeps using
 * the last known nodes when the registry is lost, and ejects nodes that fail consecutive calls.
 *
 * @example
 * ```ts
 * import { createClient, createSelector, memoryRegistry, strategies } from "@micro-es/runtime";
 *
 * const registry = memoryRegistry();
 * const selector = createSelector({ registry, strategy: strategies["round-robin"] });
 * const client = createClient({ registry, selector });
 * ```
 */
export function createSelector(options: SelectorOptions): Selector {
  checkOptions("createSelector", options, {
    registry: required(registry),
    strategy: part("a Strategy", "p2c", "pick"),
    filters: list,
    ejection: orFalse(optionsOf<EjectionPolicy>(ejectionKinds)),
    discoveryTimeoutMs: durationMs(1),
    maxServices: count,
    idleMs: durationMs(0, Number.POSITIVE_INFINITY),
    logger,
    random: callback,
    now: callback,
  });
  return new RegistrySelector(options);
}

class RegistrySelector extends Closable implements Selector {
  readonly name: string;
  readonly #registry: Registry;
  readonly #logger: PartLogger;
  readonly #discoveryTimeoutMs: number;
  readonly #maxServices: number;
  readonly #idleMs: number;
  readonly #shared: ServiceNodesOptions;
  readonly #services = new Map<string, ServiceNodes>();
  readonly #follows = new Map<ServiceNodes, AbortController>();
  readonly #ending = new Set<Promise<void>>();
  readonly #listeners = new Set<NodeChangeListener>();
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(options: SelectorOptions) {
    super();
    const strategy = options.strategy ?? p2c;
    this.name = strategy.name;
    this.#registry = options.registry;
    this.#logger = new PartLogger(options.logger, silentLogger);
    this.#discoveryTimeoutMs = options.discoveryTimeoutMs ?? 2_000;
    this.#maxServices = options.maxServices ?? 1_024;
    this.#idleMs = options.idleMs ?? 300_000;
    this.#shared = {
      strategy,
      filters: options.filters ?? [],
      ejection:
        options.ejection === false ? undefined : { ...defaultEjection, ...options.ejection },
      random: options.random ?? Math.random,
      now: options.now ?? turnNow,
      onChange: (change, node) => {
        for (const listener of this.#listeners) listener(change, node);
      },
      onEjection: (node, forMs) =>
        this.#logger.warn(
          { service: node.service, node: node.id, address: node.address, forMs },
          "a node failed call after call and is left out for a while",
        ),
    };
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  select(service: string, options?: SelectOptions): Candidate | Promise<Candidate> {
    const nodes = this.#services.get(service) ?? this.#follow(service);
    if (nodes.size === 0) return this.#wait(nodes, options);
    return nodes.select(options) ?? this.#refuse(nodes, options);
  }

  onNodeChange(listener: NodeChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected override async closeOnce(): Promise<void> {
    clearInterval(this.#idleTimer);
    for (const nodes of [...this.#services.values()]) this.#drop(nodes);
    await Promise.all(this.#ending);
  }

  async #wait(nodes: ServiceNodes, options: SelectOptions | undefined): Promise<Candidate> {
    await nodes.waiters.wait({
      timeoutMs: this.#discoveryTimeoutMs,
      deadline: options?.deadline,
      signal: options?.signal,
      what: `node of ${nodes.service}`,
      missing: () => this.#unknown(nodes.service),
    });
    return this.select(nodes.service, options);
  }

  #unknown(service: string): MicroError {
    const { name, state } = this.#registry;
    return new MicroError(
      "unavailable",
      `the ${name} registry${state === "healthy" ? "" : ` (${state})`} knows no node of ${service} ` +
        `after ${this.#discoveryTimeoutMs} ms; start the service, or check its name and that both sides use the same registry`,
      { outcome: "not-executed" },
    );
  }

  #refuse(nodes: ServiceNodes, options: SelectOptions | undefined): never {
    const filters = [...this.#shared.filters, ...(options?.filters ?? [])];
    const names = filters.map((filter) => filter.name || "unnamed filter").join(", ");
    const seen = nodes
      .nodes()
      .slice(0, namedNodes)
      .map(({ id, version, address }) => `${id} (version ${version || "none"}, ${address})`);
    if (nodes.size > namedNodes) seen.push(`${nodes.size - namedNodes} more`);
    throw new MicroError(
      "unavailable",
      `no node of ${nodes.service} passes the filters (${names}); known are ${seen.join(", ")}`,
      { outcome: "not-executed" },
    );
  }

  #follow(service: string): ServiceNodes {
    if (this.isClosing) throw closedError(service);
    if (this.#services.size >= this.#maxServices) this.#dropOne();
    const nodes = new ServiceNodes(service, this.#shared);
    const stop = new AbortController();
    this.#services.set(service, nodes);
    this.#follows.set(nodes, stop);
    const end = this.#watch(nodes, stop.signal);
    this.#ending.add(end);
    end.finally(() => this.#ending.delete(end));
    this.#idleTimer ??= setInterval(() => this.#dropIdle(), this.#idleMs / 2).unref();
    return nodes;
  }

  /**
   * Watches the registry until the signal aborts. A failed watch is restarted, and nodes are kept.
   */
  async #watch(nodes: ServiceNodes, signal: AbortSignal): Promise<void> {
    let waitMs = rewatchMs.first;
    while (!signal.aborted) {
      try {
        for await (const event of this.#registry.watch(nodes.service, { signal })) {
          if (signal.aborted) return;
          waitMs = rewatchMs.first;
          if (!this.#isLoss(event)) nodes.apply(event);
        }
        if (signal.aborted) return;
        this.#logger.debug(
          { service: nodes.service },
          "the watch of a service ended; watching again",
        );
      } catch (reason) {
        if (signal.aborted) return;
        this.#logger.warn(
          { service: nodes.service, registry: this.#registry.name, error: reason },
          "cannot watch a service; going on with its last known nodes",
        );
      }
      const jitter = 0.8 + this.#shared.random() * 0.4;
      await sleep(waitMs * jitter, undefined, { signal, ref: false }).catch(() => undefined);
      waitMs = Math.min(rewatchMs.most, waitMs * 2);
    }
  }

  /** A registry that has lost its backend cannot know that a node left. */
  #isLoss(event: RegistryEvent): boolean {
    if (this.#registry.state !== "lost") return false;
    return event.type === "removed" || (event.type === "snapshot" && event.nodes.length === 0);
  }

  #dropIdle(): void {
    for (const nodes of [...this.#services.values()]) {
      if (nodes.used || nodes.waiters.size > 0) nodes.used = false;
      else this.#drop(nodes);
    }
  }

  /**
   * Makes room for another service by dropping the oldest one not called recently, or else the
   * oldest.
   */
  #dropOne(): void {
    let oldest: ServiceNodes | undefined;
    for (const nodes of this.#services.values()) {
      oldest ??= nodes;
      if (!nodes.used) {
        oldest = nodes;
        break;
      }
      nodes.used = false;
    }
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(nodes: ServiceNodes): void {
    this.#follows.get(nodes)?.abort();
    this.#follows.delete(nodes);
    this.#services.delete(nodes.service);
    nodes.clear(this.isClosing ? closedError(nodes.service) : droppedError(nodes.service));
  }
}

function closedError(service: string): MicroError {
  return new MicroError(
    "unavailable",
    `cannot select a node of ${service}: the selector is closed`,
    {
      outcome: "not-executed",
    },
  );
}

function droppedError(service: string): MicroError {
  return new MicroError(
    "resource_exhausted",
    `${service} is no longer followed because calls asked for too many services; raise maxServices`,
    { outcome: "not-executed" },
  );
}
