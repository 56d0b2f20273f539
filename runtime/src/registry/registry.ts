import type { Backend } from "../backend.ts";

/** Something that a service answers: a method, or a topic it subscribes to. */
export interface Endpoint {
  /** Such as `Greeter.Hello`, or the subscriber's rpc for a topic. */
  readonly name: string;
  /** Such as `{ kind: "unary" }` or `{ topic: "greeter.greeted", subscriber: "true" }`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** One running instance of a service. */
export interface Node {
  /** Unique for each start of a process: a restarted one is another node. */
  readonly id: string;
  /** Name of the service that it is an instance of. */
  readonly service: string;
  readonly version: string;
  /** Where it is reached: `host:port`, `unix:/path` or `memory:name`. */
  readonly address: string;
  /** What callers may choose by; `protocol` and `transport` say how to speak to it. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
}

/**
 * What a watch tells. It begins with a snapshot; another one may come at any time, when changes were missed
 * or came faster than they were taken, and replaces all that was known.
 */
export type RegistryEvent =
  | { readonly type: "snapshot"; readonly nodes: readonly Node[] }
  | { readonly type: "added" | "updated" | "removed"; readonly node: Node };

/** A registration that renews itself until it is closed. */
export interface Registration extends AsyncDisposable {
  readonly node: Node;
  /** Whether the registry knows the node now; false between the loss of a lease and its renewal. */
  readonly active: boolean;
  /** Deregisters at once, for all that can be reached. Idempotent. */
  close(): Promise<void>;
}

/** How a node is registered. */
export interface RegisterOptions {
  /** The node disappears this long after its process died, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  readonly signal?: AbortSignal;
}

/** What an implementation promises. */
export interface RegistryGuarantees {
  /** Who sees a registration: this process, this host, the local network, or all that share the backend. */
  readonly reach: "process" | "host" | "link" | "backend";
  /** Whether `get` right after `register` returns the node everywhere. */
  readonly consistency: "strong" | "eventual";
  /** `lease`: a killed process disappears by its ttl. `process`: registrations die with the process. */
  readonly liveness: "lease" | "process";
}

/** Default time to live of a registration; renewed at a third of it. */
export const defaultTtlMs = 15_000;

/** The largest record that is taken from outside, in bytes of its addresses, metadata and endpoint names. */
export const maxNodeBytes: number = 64 * 1024;

/** The most endpoints of a node. */
export const maxNodeEndpoints = 1_024;

/** The most nodes of one service that are kept. */
export const maxNodesPerService = 4_096;

/**
 * Where services are found by name. Registration is a lease: a node is there while its process renews it.
 * What comes out of a registry is untrusted input and was checked by {@link validateNode}.
 */
export interface Registry extends Backend {
  readonly guarantees: RegistryGuarantees;
  /**
   * Makes a node known, and keeps it known. Registering an id again replaces its record.
   * @throws MicroError `invalid_argument` for a record that {@link validateNode} refuses; `unavailable` when
   * the backend cannot be reached.
   */
  register(node: Node, options?: RegisterOptions): Promise<Registration>;
  /**
   * The nodes of a service; empty when there is none.
   * @throws MicroError `unavailable` when that cannot be known.
   */
  get(service: string, options?: { readonly signal?: AbortSignal }): Promise<readonly Node[]>;
  /** The names of the services that have a node, sorted. */
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly string[]>;
  /**
   * Changes of one service's nodes. The iteration begins with a snapshot, ends with `return()`, with the
   * signal or with `close()`, and does not end because the backend is lost: then it goes on after
   * reconnection, with a snapshot.
   */
  watch(service: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<RegistryEvent>;
}
