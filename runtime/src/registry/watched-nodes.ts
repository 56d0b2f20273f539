import { AsyncQueue } from "../base/async-queue.ts";
import { asMicroError } from "../base/error.ts";
import type { Node, RegistryEvent } from "./registry.ts";

/**
 * Maximum number of events waiting for one watcher; beyond it they collapse into a snapshot of the
 * nodes known by then.
 */
export const maxWatcherEvents = 256;

/**
 * The nodes of one service and their watchers: the state behind `get` and `watch` of every
 * registry. Each change reaches every watcher once and in order; a watcher that does not consume
 * them costs at most {@link maxWatcherEvents} events.
 */
export class WatchedNodes {
  readonly #nodes = new Map<string, Node>();
  readonly #watchers = new Set<Watcher>();
  #list: readonly Node[] | undefined;

  get size(): number {
    return this.#nodes.size;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** The nodes in the order they were first added; the same array until something changes. */
  list(): readonly Node[] {
    this.#list ??= Object.freeze([...this.#nodes.values()]);
    return this.#list;
  }

  get(id: string): Node | undefined {
    return this.#nodes.get(id);
  }

  /** Adds a node or replaces the one with the same id; does nothing if the record is unchanged. */
  put(node: Node): void {
    const known = this.#nodes.get(node.id);
    if (known !== undefined && isSameNode(known, node)) return;
    this.#nodes.set(node.id, node);
    this.#list = undefined;
    this.#tell({ type: known === undefined ? "added" : "updated", node });
  }

  delete(id: string): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    this.#nodes.delete(id);
    this.#list = undefined;
    this.#tell({ type: "removed", node });
  }

  /** Replaces all nodes; watchers get one snapshot, or nothing if nothing changed. */
  replace(nodes: readonly Node[]): void {
    const next = new Map(nodes.map((node) => [node.id, node]));
    let changed = next.size !== this.#nodes.size;
    for (const [id, node] of next) {
      const known = this.#nodes.get(id);
      if (known !== undefined && isSameNode(known, node)) next.set(id, known);
      else changed = true;
    }
    if (!changed) return;
    this.#nodes.clear();
    for (const [id, node] of next) this.#nodes.set(id, node);
    this.#list = undefined;
    for (const watcher of this.#watchers) watcher.collapse();
  }

  /**
   * Watches the nodes, starting with a snapshot. A watch starts when it is iterated, and costs
   * nothing before.
   */
  watch({ signals = [], onBegin, onEnd }: WatchOptions = {}): AsyncIterable<RegistryEvent> {
    return {
      [Symbol.asyncIterator]: (): AsyncIterator<RegistryEvent> => {
        const watcher: Watcher = new Watcher(
          () => this.list(),
          () => {
            if (this.#watchers.delete(watcher)) onEnd?.();
          },
        );
        watcher.endOn(signals);
        if (watcher.ended) return watcher;
        this.#watchers.add(watcher);
        watcher.begin(onBegin);
        return watcher;
      },
    };
  }

  /** Ends every watch. */
  end(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  #tell(event: RegistryEvent): void {
    for (const watcher of this.#watchers) watcher.push(event);
  }
}

/** How {@link WatchedNodes.watch} starts and ends. */
export interface WatchOptions {
  /** Each of them ends the iteration. */
  readonly signals?: readonly (AbortSignal | undefined)[];
  /**
   * Called when an iteration starts. The snapshot waits for the promise; a rejection ends the
   * iteration.
   */
  readonly onBegin?: () => Promise<void>;
  /** Called once for each iteration that started. */
  readonly onEnd?: () => void;
}

class Watcher extends AsyncQueue<RegistryEvent> {
  readonly #snapshot: () => readonly Node[];
  readonly #onEnd: () => void;
  /** Whether the next event is a snapshot, which contains all changes until it is read. */
  #collapsed = true;
  #begun = false;

  constructor(snapshot: () => readonly Node[], onEnd: () => void) {
    super();
    this.#snapshot = snapshot;
    this.#onEnd = onEnd;
  }

  /** Delivers events once the promise of `onBegin` has resolved. */
  begin(onBegin: WatchOptions["onBegin"]): void {
    const begin = () => {
      this.#begun = true;
      this.#pushSnapshot();
    };
    if (onBegin === undefined) begin();
    else onBegin().then(begin, (reason: unknown) => this.end(asMicroError(reason, "unavailable")));
  }

  override push(event: RegistryEvent): void {
    if (this.#collapsed) return;
    if (this.length < maxWatcherEvents) super.push(event);
    else this.collapse();
  }

  collapse(): void {
    this.clear();
    this.#collapsed = true;
    this.#pushSnapshot();
  }

  override next(): Promise<IteratorResult<RegistryEvent, undefined>> {
    const read = super.next();
    this.#pushSnapshot();
    return read;
  }

  protected override onEnd(): void {
    this.#onEnd();
  }

  /** Creates the snapshot when it is read. */
  #pushSnapshot(): void {
    if (!this.#collapsed || !this.#begun || !this.isAwaited) return;
    this.#collapsed = false;
    super.push({ type: "snapshot", nodes: this.#snapshot() });
  }
}

/** Whether two records are equal, regardless of the order of their metadata. */
export function isSameNode(a: Node, b: Node): boolean {
  return (
    a === b ||
    (a.id === b.id &&
      a.service === b.service &&
      a.version === b.version &&
      a.address === b.address &&
      isSameMetadata(a.metadata, b.metadata) &&
      a.endpoints.length === b.endpoints.length &&
      a.endpoints.every((endpoint, index) => {
        const other = b.endpoints[index];
        return (
          other !== undefined &&
          endpoint.name === other.name &&
          isSameMetadata(endpoint.metadata, other.metadata)
        );
      }))
  );
}

function isSameMetadata(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
  );
}
