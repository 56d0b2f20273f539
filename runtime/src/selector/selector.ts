import type { Deadline } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import type { Node } from "../registry/registry.ts";

/** Whether a node may take a call. */
export type NodeFilter = (node: Node) => boolean;

/** What a call asks of the node it goes to. */
export interface SelectOptions {
  /** All must agree. */
  readonly filters?: readonly NodeFilter[];
  /** Ids of nodes that were tried already; taken only when there is no other. */
  readonly exclude?: ReadonlySet<string>;
  /** How long to wait for a first node of a service that has none yet. */
  readonly deadline?: Deadline;
  readonly signal?: AbortSignal;
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
   * @param latencyMs from the selection to the end.
   * @param error what the call ended with; undefined when it succeeded.
   */
  report(latencyMs: number, error?: MicroError): void;
}

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
  /** Stops following the registry. Idempotent. */
  close(): Promise<void>;
}
