import type { Deadline } from "../../base/deadline.ts";
import type { Node } from "../registry.ts";
import { WatchedNodes } from "../watched-nodes.ts";
import type { Marker } from "./txt-record.ts";

/** A node of another process, and when it was last heard from. */
export interface RemoteNode {
  readonly node: Node;
  /** The text of its records: if it is received again unchanged, it need not be unpacked. */
  readonly text: Buffer;
  readonly host: string | undefined;
  readonly port: number;
  /** The machine that announced it. */
  readonly source: string;
  /** Its share of the limit on cached data. */
  readonly bytes: number;
  /**
   * Undefined for a go-micro node, which announces itself once and then only replies to queries.
   */
  readonly marker: Marker | undefined;
  readonly ttlMs: number;
  heardAt: Deadline;
  /** Number of queries for it since then. */
  checks: number;
  dueAt: Deadline;
  /** The number of the query that is its last chance. */
  lastQuery: number | undefined;
}

/** A service that this process looks up or has nodes of; others are not cached. */
export class CachedService {
  readonly name: string;
  readonly nodes: WatchedNodes = new WatchedNodes();
  readonly foreign: Map<string, RemoteNode> = new Map();
  /** Number of nodes announced by each other machine. */
  readonly perSource: Map<string, number> = new Map();
  /** Ids of the nodes of this process. */
  readonly local: Set<string> = new Set();
  /** Whether its nodes have been queried, so that the known nodes are complete. */
  warm = false;
  usedAt: Deadline;
  /** When to query again because packets may have been lost; only while it is watched. */
  queryAt: Deadline = Number.POSITIVE_INFINITY;
  queryGapMs = 0;
  /** Called for each new node. */
  onNew: (() => void) | undefined;
  /** The query in progress. */
  lookup: Promise<void> | undefined;

  constructor(name: string, now: Deadline) {
    this.name = name;
    this.usedAt = now;
  }

  get inUse(): boolean {
    return this.nodes.watchers > 0 || this.local.size > 0 || this.lookup !== undefined;
  }
}
