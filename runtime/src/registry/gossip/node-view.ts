import { maxNodesPerService, type Node, type RegistryEvent } from "../registry.ts";
import { WatchedNodes, type WatchOptions } from "../watched-nodes.ts";
import { decodeRecord, type NodeRecord } from "./node-record.ts";
import type { RecordStore, StoredRecord } from "./record-store.ts";

/** A record with the member that owns it. */
export interface OwnedRecord extends NodeRecord {
  readonly owner: string;
}

/**
 * The nodes in the records of all members. Of several records of one id, the one with the highest
 * revision counts.
 */
export class NodeView {
  readonly #services = new Map<string, WatchedNodes>();
  readonly #decoded = new WeakMap<StoredRecord, NodeRecord | null>();
  readonly #accepts: (record: NodeRecord, owner: string) => boolean;
  readonly #onRefused: (key: string, owner: string, reason: unknown) => void;
  readonly #onOverflow: () => void;

  /** @param parts.accepts decides whether the address in a record may be used. */
  constructor(parts: {
    readonly accepts: (record: NodeRecord, owner: string) => boolean;
    readonly onRefused: (key: string, owner: string, reason: unknown) => void;
    readonly onOverflow: () => void;
  }) {
    this.#accepts = parts.accepts;
    this.#onRefused = parts.onRefused;
    this.#onOverflow = parts.onOverflow;
  }

  get(service: string): readonly Node[] {
    return this.#services.get(service)?.list() ?? [];
  }

  /** The services with a node, sorted. */
  names(): readonly string[] {
    return [...this.#services].flatMap(([name, { size }]) => (size > 0 ? [name] : [])).sort();
  }

  watch(service: string, options: WatchOptions): AsyncIterable<RegistryEvent> {
    const onEnd = () => this.#release(service);
    return this.#of(service).watch({ ...options, onEnd });
  }

  /** Reads the records under a key again. Returns the one that counts. */
  refresh(records: RecordStore, key: string): OwnedRecord | undefined {
    const [service = "", id = ""] = splitKey(key);
    const best = this.best(records, key);
    const nodes = best === undefined ? this.#services.get(service) : this.#of(service);
    if (best === undefined) nodes?.delete(id);
    else if (nodes?.get(id) === undefined && (nodes?.size ?? 0) >= maxNodesPerService) {
      this.#onOverflow();
    } else nodes?.put(best.node);
    this.#release(service);
    return best;
  }

  /** The record under a key that counts. */
  best(records: RecordStore, key: string): OwnedRecord | undefined {
    let best: OwnedRecord | undefined;
    for (const [owner, stored] of records.under(key)) {
      const record = this.#decode(key, owner, stored);
      if (record === undefined) continue;
      const isHigher =
        best === undefined ||
        record.revision > best.revision ||
        (record.revision === best.revision && owner > best.owner);
      if (isHigher) best = { ...record, owner };
    }
    return best;
  }

  #decode(key: string, owner: string, stored: StoredRecord): NodeRecord | undefined {
    let record = this.#decoded.get(stored);
    if (record === undefined) {
      record = this.#read(key, owner, stored);
      this.#decoded.set(stored, record);
    }
    return record ?? undefined;
  }

  #read(key: string, owner: string, stored: StoredRecord): NodeRecord | null {
    try {
      const record = decodeRecord(key, stored.bytes);
      if (this.#accepts(record, owner)) return record;
      this.#onRefused(key, owner, `its address ${record.node.address} is not allowed`);
    } catch (error) {
      this.#onRefused(key, owner, error);
    }
    return null;
  }

  #of(service: string): WatchedNodes {
    const nodes = this.#services.get(service) ?? new WatchedNodes();
    this.#services.set(service, nodes);
    return nodes;
  }

  #release(service: string): void {
    const nodes = this.#services.get(service);
    if (nodes?.size === 0 && nodes.watchers === 0) this.#services.delete(service);
  }
}

function splitKey(key: string): readonly string[] {
  const slash = key.indexOf("/");
  return [key.slice(0, slash), key.slice(slash + 1)];
}
