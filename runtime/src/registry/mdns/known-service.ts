import type { Deadline } from "../../deadline.ts";
import type { Node } from "../registry.ts";
import { WatchedNodes } from "../watch.ts";
import type { Marker } from "./text.ts";

/** A node of another process, and when it was last heard of. */
export interface ForeignNode {
  readonly node: Node;
  /** What its records said: when the same comes again, nothing need be unpacked. */
  readonly text: Buffer;
  readonly host: string | undefined;
  readonly port: number;
  /** Undefined for a node of go-micro, which announces itself once and then only answers. */
  readonly marker: Marker | undefined;
  readonly ttlMs: number;
  heardAt: Deadline;
  /** How often it was asked for since. */
  checks: number;
  dueAt: Deadline;
  /** The number of the query that is its last chance. */
  lastQuery: number | undefined;
}

/** A service that somebody here asks for or belongs to; others are not remembered. */
export class KnownService {
  readonly name: string;
  readonly nodes: WatchedNodes = new WatchedNodes();
  readonly foreign: Map<string, ForeignNode> = new Map();
  /** Ids of the nodes of this process. */
  readonly local: Set<string> = new Set();
  /** Whether its nodes have been asked for, so that what is known is what there is. */
  warm = false;
  usedAt: Deadline;
  /** When to ask again because packets may have been lost; only while it is watched. */
  queryAt: Deadline = Number.POSITIVE_INFINITY;
  queryGapMs = 0;
  /** Told of each node that is new. */
  onNew: (() => void) | undefined;
  /** The question that is under way. */
  lookup: Promise<void> | undefined;

  constructor(name: string, now: Deadline) {
    this.name = name;
    this.usedAt = now;
  }

  get inUse(): boolean {
    return this.nodes.watchers > 0 || this.local.size > 0 || this.lookup !== undefined;
  }
}
