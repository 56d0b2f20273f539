import { throwIfAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { checkOptions, instanceOf } from "../../base/option-check.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import { checkReadOptions, checkRegisterOptions } from "../option-kinds.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "../registry.ts";
import { maxNodesPerService } from "../registry.ts";
import { validateNode, validateServiceName } from "../validate.ts";
import { WatchedNodes } from "../watched-nodes.ts";

/** Connects the {@link memoryRegistry | memory registries} of one process. */
export class MemoryRegistryNetwork {
  readonly #services = new Map<string, WatchedNodes>();
  readonly #owners = new WeakMap<Node, object>();

  /** The nodes of a service; an empty set is created for a watch and dropped by {@link release}. */
  of(service: string): WatchedNodes {
    let nodes = this.#services.get(service);
    if (nodes === undefined) {
      nodes = new WatchedNodes();
      this.#services.set(service, nodes);
    }
    return nodes;
  }

  peek(service: string): readonly Node[] {
    return this.#services.get(service)?.list() ?? [];
  }

  names(): readonly string[] {
    return [...this.#services].filter(([, nodes]) => nodes.size > 0).map(([name]) => name);
  }

  /** @throws MicroError `resource_exhausted` when the service has too many nodes. */
  add(node: Node, owner: object): void {
    const nodes = this.of(node.service);
    if (nodes.size >= maxNodesPerService && nodes.get(node.id) === undefined) {
      throw new MicroError(
        "resource_exhausted",
        `cannot register ${node.id}: ${node.service} has ${nodes.size} nodes already`,
        { outcome: "not-executed" },
      );
    }
    nodes.put(node);
    const kept = nodes.get(node.id);
    if (kept !== undefined) this.#owners.set(kept, owner);
  }

  /** Removes a node unless another registration has replaced it. */
  remove(node: Node, owner: object): void {
    const nodes = this.#services.get(node.service);
    const kept = nodes?.get(node.id);
    if (nodes === undefined || kept === undefined || this.#owners.get(kept) !== owner) return;
    nodes.delete(node.id);
    this.release(node.service);
  }

  isOwner(node: Node, owner: object): boolean {
    const kept = this.#services.get(node.service)?.get(node.id);
    return kept !== undefined && this.#owners.get(kept) === owner;
  }

  release(service: string): void {
    const nodes = this.#services.get(service);
    if (nodes !== undefined && nodes.size === 0 && nodes.watchers === 0) {
      this.#services.delete(service);
    }
  }
}

/** Options for {@link memoryRegistry}. */
export interface MemoryRegistryOptions {
  /**
   * Registries with the same network see each other. Default: one network for the whole process.
   */
  readonly network?: MemoryRegistryNetwork;
}

const processNetwork = new MemoryRegistryNetwork();

/**
 * A registry inside this process, for services that run in the same process, and for tests.
 * Registrations need no renewal and end with the process or with the registry that made them.
 *
 * @example
 * ```ts
 * import { createClient, createServer, memoryRegistry } from "@micro-es/runtime";
 *
 * const registry = memoryRegistry();
 * const server = createServer({ name: "greeter", registry });
 * const client = createClient({ registry });
 * ```
 */
export function memoryRegistry(options: MemoryRegistryOptions = {}): Registry {
  checkOptions("memoryRegistry", options, {
    network: instanceOf("a MemoryRegistryNetwork", MemoryRegistryNetwork),
  });
  return new MemoryRegistry(options.network ?? processNetwork);
}

class MemoryRegistry extends Closable implements Registry {
  readonly name = "memory";
  readonly guarantees: RegistryGuarantees = {
    registers: true,
    reach: "process",
    consistency: "strong",
    liveness: "process",
  };
  readonly #network: MemoryRegistryNetwork;
  readonly #status = new BackendStatus();
  readonly #registrations = new Set<Registration>();
  readonly #closed: AbortController = sharedAbortController();

  constructor(network: MemoryRegistryNetwork) {
    super();
    this.#network = network;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    checkRegisterOptions(node, options);
    this.#check(`register ${node?.id}`, options.signal);
    const registration = new MemoryRegistration(validateNode(node), this.#network, () =>
      this.#registrations.delete(registration),
    );
    this.#registrations.add(registration);
    return registration;
  }

  async get(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    checkReadOptions(`get ${service}`, options);
    this.#check(`get ${service}`, options.signal);
    return this.#network.peek(validateServiceName(service));
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    this.#check("list services", options.signal);
    return [...this.#network.names()].sort();
  }

  watch(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const network = this.#network;
    const signals = [this.#closed.signal, options.signal];
    const onEnd = () => network.release(service);
    return {
      [Symbol.asyncIterator]: () =>
        network.of(service).watch({ signals, onEnd })[Symbol.asyncIterator](),
    };
  }

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
    for (const registration of this.#registrations) await registration.close();
  }

  #check(what: string, signal: AbortSignal | undefined): void {
    if (this.#closed.signal.aborted) {
      throw new MicroError("unavailable", `cannot ${what}: the registry is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }
}

class MemoryRegistration extends Closable implements Registration {
  readonly node: Node;
  readonly #network: MemoryRegistryNetwork;
  readonly #onClose: () => void;

  constructor(node: Node, network: MemoryRegistryNetwork, onClose: () => void) {
    super();
    this.node = node;
    this.#network = network;
    this.#onClose = onClose;
    network.add(node, this);
  }

  get active(): boolean {
    return this.#network.isOwner(this.node, this);
  }

  protected override async closeOnce(): Promise<void> {
    this.#network.remove(this.node, this);
    this.#onClose();
  }
}
