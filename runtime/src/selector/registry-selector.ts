import { setTimeout as sleep } from "node:timers/promises";
import { turnNow } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { type Logger, silentLogger } from "../logger.ts";
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

/** What {@link createSelector} may be told. */
export interface SelectorOptions {
  readonly registry: Registry;
  /** Default {@link p2c}. */
  readonly strategy?: Strategy;
  /** Hold for every call, beside the call's own. */
  readonly filters?: readonly NodeFilter[];
  /** When failing nodes are left out; `false`: never. */
  readonly ejection?: Partial<EjectionPolicy> | false;
  /** How long a call waits for a first node of its service, in milliseconds. Default 2,000. */
  readonly discoveryTimeoutMs?: number;
  /** Services that are followed at once; past it the one that was not called lately is dropped. Default 1,024. */
  readonly maxServices?: number;
  /** A service that was not called for this long is no longer followed, in milliseconds. Default 300,000. */
  readonly idleMs?: number;
  /** Default: none. */
  readonly logger?: Logger;
  /** Default `Math.random`. */
  readonly random?: () => number;
  /** Milliseconds on a clock that never goes back. Default: the process's monotonic clock. */
  readonly now?: () => number;
}

/** Waits between attempts to watch a registry that fails, in milliseconds: from, and at most. */
const rewatchMs = { first: 100, most: 10_000 };

/** Nodes that the error of a call names. */
const namedNodes = 5;

/**
 * The selector over a registry. It follows each service from its first call on, goes on with the last known
 * nodes when the registry is lost, and leaves out nodes that fail call after call.
 */
export function createSelector(options: SelectorOptions): Selector {
  return new RegistrySelector(options);
}

class RegistrySelector implements Selector {
  readonly name: string;
  readonly #registry: Registry;
  readonly #logger: Logger;
  readonly #discoveryTimeoutMs: number;
  readonly #maxServices: number;
  readonly #idleMs: number;
  readonly #shared: ServiceNodesOptions;
  readonly #services = new Map<string, ServiceNodes>();
  readonly #follows = new Map<ServiceNodes, AbortController>();
  readonly #ending = new Set<Promise<void>>();
  readonly #listeners = new Set<NodeChangeListener>();
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SelectorOptions) {
    const strategy = options.strategy ?? p2c;
    this.name = strategy.name;
    this.#registry = options.registry;
    this.#logger = options.logger ?? silentLogger;
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

  select(service: string, options?: SelectOptions): Candidate | Promise<Candidate> {
    const nodes = this.#services.get(service) ?? this.#follow(service);
    if (nodes.size === 0) return this.#wait(nodes, options);
    return nodes.select(options) ?? this.#refuse(nodes, options);
  }

  onNodeChange(listener: NodeChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#idleTimer);
    for (const nodes of [...this.#services.values()]) this.#drop(nodes);
    await Promise.all(this.#ending);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
    if (this.#closed) throw closedError(service);
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

  /** Follows the registry until the signal fires. A watch that fails is begun again, and nodes are kept. */
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

  /** A registry that has lost its backend knows of no node that left. */
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

  /** Makes room for another service: by the oldest that was not called lately, or else the oldest. */
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
    nodes.clear(this.#closed ? closedError(nodes.service) : droppedError(nodes.service));
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
