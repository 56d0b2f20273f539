import type { Deadline } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import type { Node } from "../registry/registry.ts";

/**
 * Whether a node may take a call. It must depend on the node alone, because its answers are kept until the
 * nodes change. Its function name stands in the error when no node passes.
 */
export type NodeFilter = (node: Node) => boolean;

/** What a call asks of the node it goes to. */
export interface SelectOptions {
  /** All must agree. What they allow is kept by the array's identity, so a constant array costs nothing. */
  readonly filters?: readonly NodeFilter[] | undefined;
  /** Ids of nodes that were tried already; taken only when there is no other. */
  readonly exclude?: ReadonlySet<string> | undefined;
  /** How long to wait for a first node of a service that has none yet. */
  readonly deadline?: Deadline | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A node with what its calls have taught about it. The selector keeps one for as long as the node is known
 * and hands out the same object each time, so a selection allocates nothing.
 */
export interface Candidate {
  readonly node: Node;
  /** Calls of this process that the node has not answered yet. */
  readonly inFlight: number;
  /**
   * Ends what {@link Selector.select} began; called once for each selection.
   * @param latencyMs how long the node took to answer; undefined where the time says nothing of the node, as
   * for a stream that stays open as long as its reader likes.
   * @param error what the call ended with; undefined when it succeeded.
   */
  report(latencyMs: number | undefined, error?: MicroError): void;
}

/** Called when a selector learns of a node, and when one has left or is no longer followed. */
export type NodeChangeListener = (change: "added" | "removed", node: Node) => void;

/**
 * Chooses the node for a call. It follows the registry by itself and goes on with the last nodes it knew when
 * the registry is lost.
 */
export interface Selector extends AsyncDisposable {
  /** Name of the strategy, such as `round-robin`. */
  readonly name: string;
  /**
   * The node for one call of a service; a promise only while the service's nodes are not known yet.
   * @throws MicroError `unavailable`, `not-executed`, when there is no node, or none that the filters
   * allow.
   */
  select(service: string, options?: SelectOptions): Candidate | Promise<Candidate>;
  /** Calls the listener at each change of the nodes that are followed, until the returned function is called. */
  onNodeChange(listener: NodeChangeListener): () => void;
  /** Stops following the registry. Idempotent. */
  close(): Promise<void>;
}
