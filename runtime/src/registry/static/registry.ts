import { throwIfAborted } from "../../base/abort.ts";
import type { BackendState } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { checkOptions, type OptionKind, required } from "../../base/option-check.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import { checkReadOptions, checkRegisterOptions, type ReadOptions } from "../option-kinds.ts";
import { readOnlyError } from "../read-only.ts";
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

/** A node of a {@link staticRegistry} with more than an address. */
export interface StaticNode {
  /** `host:port` or `unix:/path`. */
  readonly address: string;
  /** Default empty. */
  readonly version?: string;
  /**
   * Labels by which callers can select. `protocol: "grpc"` is for a server that only speaks gRPC.
   */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Options for {@link staticRegistry}. */
export interface StaticRegistryOptions {
  /** The nodes of each service by its name, as addresses or with more data. */
  readonly services: Readonly<Record<string, readonly (string | StaticNode)[]>>;
}

/** The nodes by service; their validation says what is wrong with one. */
const servicesKind: OptionKind = {
  words: 'an object of lists of addresses, for example { greeter: ["10.0.0.5:8080"] }',
  accepts: (value) =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(Array.isArray),
};

/**
 * A registry whose nodes are a fixed list, for services at known addresses and for tests. Nothing
 * can be registered in it: a server that uses it starts, and is found only if the list has it. The
 * id of a node is its service and address.
 *
 * @throws MicroError `invalid_argument` that names a service or address which is not valid.
 * @example
 * ```ts
 * import { createClient, staticRegistry } from "@micro-es/runtime";
 *
 * const client = createClient({
 *   registry: staticRegistry({ services: { greeter: ["10.0.0.5:8080", "10.0.0.6:8080"] } }),
 * });
 * ```
 */
export function staticRegistry(options: StaticRegistryOptions): Registry {
  checkOptions("staticRegistry", options, { services: required(servicesKind) });
  return new StaticRegistry(options.services);
}

class StaticRegistry extends Closable implements Registry {
  readonly name = "static";
  readonly state: BackendState = "healthy";
  readonly guarantees: RegistryGuarantees = {
    registers: false,
    reach: "process",
    consistency: "strong",
    liveness: "none",
  };
  readonly #services = new Map<string, WatchedNodes>();
  readonly #closed: AbortController = sharedAbortController();

  constructor(services: StaticRegistryOptions["services"]) {
    super();
    for (const [service, nodes] of Object.entries(services)) {
      if (nodes.length > maxNodesPerService) {
        throw invalid(`${service} has ${nodes.length} nodes, over ${maxNodesPerService}`);
      }
      const valid = new WatchedNodes();
      valid.replace(nodes.map((node) => nodeOf(service, node)));
      this.#services.set(service, valid);
    }
  }

  /** Its state never changes. */
  onStateChange(): () => void {
    return () => {};
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    checkRegisterOptions(node, options);
    this.#check(`register ${valid.id}`, options.signal);
    throw readOnlyError(this.name, valid, "its nodes are a fixed list");
  }

  async get(service: string, options: ReadOptions = {}): Promise<readonly Node[]> {
    checkReadOptions(`get ${service}`, options);
    validateServiceName(service);
    this.#check(`get ${service}`, options.signal);
    return this.#services.get(service)?.list() ?? [];
  }

  async list(options: ReadOptions = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    this.#check("list services", options.signal);
    return [...this.#services].flatMap(([name, { size }]) => (size > 0 ? [name] : [])).sort();
  }

  watch(service: string, options: ReadOptions = {}): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const nodes = this.#services.get(service) ?? new WatchedNodes();
    return nodes.watch({ signals: [this.#closed.signal, options.signal] });
  }

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
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

function nodeOf(service: string, node: string | StaticNode): Node {
  const {
    address,
    version = "",
    metadata = {},
  } = typeof node === "string" ? { address: node } : (node ?? {});
  const id = `${service}-${address}`;
  return validateNode({ id, service, version, address, metadata, endpoints: [] } as Node);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", `staticRegistry: ${message}`, {
    outcome: "not-executed",
  });
}
