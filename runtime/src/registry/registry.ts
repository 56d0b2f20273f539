import type { Backend } from "../base/backend-state.ts";

/** An endpoint of a service: a method, or a topic it subscribes to. */
export interface Endpoint {
  /** Such as `Greeter.Hello`, or the subscriber's rpc for a topic. */
  readonly name: string;
  /** Such as `{ kind: "unary" }` or `{ topic: "greeter.greeted", subscriber: "true" }`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** One running instance of a service. */
export interface Node {
  /** Unique for each start of a process: after a restart it is a different node. */
  readonly id: string;
  /** Name of the service. */
  readonly service: string;
  readonly version: string;
  /** The address to dial: `host:port`, `unix:/path` or `memory:name`. */
  readonly address: string;
  /**
   * Properties by which callers can select nodes; `protocol` and `transport` determine how to talk
   * to the node.
   */
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
}

/**
 * An event of a watch. A watch starts with a snapshot. Another snapshot may follow at any time,
 * when changes were missed or arrived faster than they were consumed; it replaces everything known.
 */
export type RegistryEvent =
  | { readonly type: "snapshot"; readonly nodes: readonly Node[] }
  | { readonly type: "added" | "updated" | "removed"; readonly node: Node };

/** A registration that is renewed until it is closed. */
export interface Registration extends AsyncDisposable {
  readonly node: Node;
  /**
   * Whether the node is currently registered; false between the loss of a lease and its renewal.
   */
  readonly active: boolean;
  /** Deregisters immediately, as far as the backend can be reached. Idempotent. */
  close(): Promise<void>;
}

/** Options for registering a node. */
export interface RegisterOptions {
  /** How long after its process dies the node disappears, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  readonly signal?: AbortSignal;
  /**
   * Called when another process has registered the id, which ends this registration. Must not
   * throw.
   */
  readonly onTakenOver?: () => void;
}

/** What an implementation guarantees. */
export interface RegistryGuarantees {
  /**
   * Whether nodes can be registered. In a registry that is only read, its source decides what
   * exists, and `register` rejects with `unimplemented`.
   */
  readonly registers: boolean;
  /**
   * Scope of a registration: this process, this host, the local network, or all processes that
   * share the backend.
   */
  readonly reach: "process" | "host" | "link" | "backend";
  /** Whether `get` right after `register` returns the node everywhere. */
  readonly consistency: "strong" | "eventual";
  /**
   * `lease`: a killed process disappears within its ttl. `process`: registrations end with the
   * process. `none`: a node stays until it is taken off the list of a registry that is only read.
   */
  readonly liveness: "lease" | "process" | "none";
}

/** Default time to live of a registration; it is renewed every third of this time. */
export const defaultTtlMs = 15_000;

/**
 * Maximum size of a record accepted from outside, in bytes of its addresses, metadata and endpoint
 * names.
 */
export const maxNodeBytes: number = 64 * 1024;

/** Maximum number of endpoints of a node. */
export const maxNodeEndpoints = 1_024;

/** Maximum number of nodes kept for one service. */
export const maxNodesPerService = 4_096;

/**
 * Finds services by name. A registration is a lease: a node exists while its process renews it.
 * Records from a registry are untrusted input, checked by {@link validateNode}.
 */
export interface Registry extends Backend {
  readonly guarantees: RegistryGuarantees;
  /**
   * Registers a node, and keeps it registered. Registering an id again replaces its record.
   * @throws MicroError `invalid_argument` for a record that {@link validateNode} rejects;
   * `unavailable` when the backend cannot be reached; `unimplemented` if the registry is only read.
   */
  register(node: Node, options?: RegisterOptions): Promise<Registration>;
  /**
   * The nodes of a service; empty if it has none.
   * @throws MicroError `unavailable` when they cannot be determined.
   */
  get(service: string, options?: { readonly signal?: AbortSignal }): Promise<readonly Node[]>;
  /** The names of the services that have a node, sorted. */
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly string[]>;
  /**
   * Watches the nodes of one service. The iteration starts with a snapshot and ends on `return()`,
   * the signal or `close()`. It does not end when the backend is lost: it continues after
   * reconnection, with a snapshot.
   */
  watch(service: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<RegistryEvent>;
}
