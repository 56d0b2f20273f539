import type { Deadline } from "../base/deadline.ts";
import type { MicroError } from "../base/error.ts";
import type { LoggingPart } from "../base/part-logger.ts";
import type { Node } from "../registry/registry.ts";

/**
 * Whether a node may take a call. It must depend on the node alone, because its results are cached
 * until the nodes change. Its function name appears in the error when no node passes.
 */
export type NodeFilter = (node: Node) => boolean;

/** A call's requirements for its node. */
export interface SelectOptions {
  /**
   * All must accept the node. Their result is cached by the array's identity, so a constant array
   * costs nothing.
   */
  readonly filters?: readonly NodeFilter[] | undefined;
  /** Ids of nodes that were already tried; they are selected only if there is no other. */
  readonly exclude?: ReadonlySet<string> | undefined;
  /** How long to wait for the first node of a service that has none yet. */
  readonly deadline?: Deadline | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A node with what its calls have revealed about it. The selector keeps one per known node and
 * returns the same object each time, so a selection allocates nothing.
 */
export interface Candidate {
  readonly node: Node;
  /** Calls from this process that the node has not responded to yet. */
  readonly inFlight: number;
  /**
   * Ends a selection made by {@link Selector.select}; called once for each selection.
   * @param latencyMs the node's response time; undefined if it says nothing about the node, as for
   * a stream whose duration depends on its reader.
   * @param error the error of the call; undefined when it succeeded.
   */
  report(latencyMs: number | undefined, error?: MicroError): void;
}

/** Called when a selector discovers a node, and when one has left or is no longer followed. */
export type NodeChangeListener = (change: "added" | "removed", node: Node) => void;

/**
 * Chooses the node for a call. It follows the registry by itself and keeps using the last known
 * nodes when the registry is lost.
 */
export interface Selector extends AsyncDisposable, LoggingPart {
  /** Name of the strategy, such as `round-robin`. */
  readonly name: string;
  /**
   * Selects the node for one call of a service; returns a promise only while the service's nodes
   * are not known yet.
   * @throws MicroError `unavailable`, `not-executed`, when there is no node, or none that the
   * filters accept.
   */
  select(service: string, options?: SelectOptions): Candidate | Promise<Candidate>;
  /**
   * Calls the listener at each change of the followed nodes, until the returned function is called.
   */
  onNodeChange(listener: NodeChangeListener): () => void;
  /** Stops following the registry. Idempotent. */
  close(): Promise<void>;
}
