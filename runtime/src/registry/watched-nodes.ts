import { listenForAbort } from "../base/abort.ts";
import { asMicroError, type MicroError } from "../base/error.ts";
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
  watch(options: WatchOptions = {}): AsyncIterable<RegistryEvent> {
    return {
      [Symbol.asyncIterator]: (): AsyncIterator<RegistryEvent> => {
        const watcher: Watcher = new Watcher(
          () => this.list(),
          options,
          () => {
            this.#watchers.delete(watcher);
          },
        );
        if (!watcher.ended) this.#watchers.add(watcher);
        return watcher;
      },
    };
  }

  /** Ends every watch. */
  end(): void {
    for (const watcher of this.#watchers) void watcher.return();
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

type Result = IteratorResult<RegistryEvent, undefined>;

interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

const done: Result = { done: true, value: undefined };

class Watcher implements AsyncIterator<RegistryEvent, undefined> {
  readonly #snapshot: () => readonly Node[];
  readonly #stopListening: (() => void) | undefined;
  readonly #onEnd: () => void;
  #events: RegistryEvent[] = [];
  #waiting: Waiting[] = [];
  #collapsed = true;
  #ready = true;
  #error: MicroError | undefined;
  ended = false;

  constructor(
    snapshot: () => readonly Node[],
    { signals = [], onBegin, onEnd }: WatchOptions,
    onRemove: () => void,
  ) {
    this.#snapshot = snapshot;
    this.#onEnd = () => {
      onRemove();
      onEnd?.();
    };
    this.#stopListening = listenForAbort(signals, () => {
      // A signal that has already aborted ends a watch that never started.
      if (this.#stopListening === undefined) this.ended = true;
      else void this.return();
    });
    if (this.ended || onBegin === undefined) return;
    this.#ready = false;
    onBegin().then(
      () => {
        this.#ready = true;
        this.#serve();
      },
      (reason: unknown) => {
        this.#error = asMicroError(reason, "unavailable");
        void this.return();
      },
    );
  }

  push(event: RegistryEvent): void {
    // A pending snapshot will contain the change.
    if (this.#collapsed) return;
    if (this.#events.length >= maxWatcherEvents) {
      this.collapse();
      return;
    }
    this.#events.push(event);
    this.#serve();
  }

  collapse(): void {
    this.#events = [];
    this.#collapsed = true;
    this.#serve();
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#serve();
    });
  }

  return(): Promise<Result> {
    if (!this.ended) {
      this.ended = true;
      this.#events = [];
      this.#stopListening?.();
      this.#onEnd();
      this.#serve();
    }
    return Promise.resolve(done);
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      if (this.ended) {
        const waiting = this.#waiting.shift();
        const error = this.#error;
        this.#error = undefined;
        if (error === undefined) waiting?.resolve(done);
        else waiting?.reject(error);
        continue;
      }
      if (!this.#ready) return;
      const event = this.#take();
      if (event === undefined) return;
      this.#waiting.shift()?.resolve({ done: false, value: event });
    }
  }

  #take(): RegistryEvent | undefined {
    if (!this.#collapsed) return this.#events.shift();
    this.#collapsed = false;
    return { type: "snapshot", nodes: this.#snapshot() };
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
