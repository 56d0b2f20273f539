import { AsyncQueue } from "../base/async-queue.ts";
import type { MicroError } from "../base/error.ts";
import type { StoreEvent, StoreRecord } from "./store.ts";

/** Maximum number of events queued for one reader; beyond it a snapshot replaces them. */
export const maxWatcherEvents = 1_024;

/** Receives a store's events for one watch. */
export interface WatchSink {
  readonly prefix: string;
  /** All current records, replacing everything sent before. */
  snapshot(records: readonly StoreRecord[]): void;
  written(record: StoreRecord): void;
  deleted(key: string): void;
  /** Ends the watch with this error, because it cannot continue. */
  fail(error: MicroError): void;
}

/**
 * One iteration of a watch. It queues a limited number of events: a reader that falls further
 * behind starts over with a snapshot.
 */
export class StoreWatcher extends AsyncQueue<StoreEvent> implements WatchSink {
  readonly prefix: string;
  readonly #begin: (sink: WatchSink) => () => void;
  readonly #open: Set<StoreWatcher>;
  #stop: (() => void) | undefined;

  /**
   * @param begin sends the sink a snapshot and then changes, until the function that it returned is
   * called.
   * @param open contains the watch until it ends.
   */
  constructor(
    prefix: string,
    signal: AbortSignal | undefined,
    begin: (sink: WatchSink) => () => void,
    open: Set<StoreWatcher>,
  ) {
    super();
    this.prefix = prefix;
    this.#begin = begin;
    this.#open = open;
    open.add(this);
    this.endOn(signal);
  }

  snapshot(records: readonly StoreRecord[]): void {
    this.clear();
    this.push({ type: "snapshot", records });
  }

  written(record: StoreRecord): void {
    this.push({ type: "written", record });
  }

  deleted(key: string): void {
    this.push({ type: "deleted", key });
  }

  fail(error: MicroError): void {
    this.end(error);
  }

  override push(event: StoreEvent): void {
    if (this.length < maxWatcherEvents) {
      super.push(event);
      return;
    }
    this.clear();
    this.#stop?.();
    this.#stop = undefined;
  }

  override next(): Promise<IteratorResult<StoreEvent, undefined>> {
    const read = super.next();
    if (this.isAwaited && this.#stop === undefined) {
      const stop = this.#begin(this);
      if (this.ended) stop();
      else this.#stop = stop;
    }
    return read;
  }

  protected override onEnd(): void {
    this.#stop?.();
    this.#open.delete(this);
  }
}

/** The watches of a store in one process, which reports its changes to them. */
export class StoreWatchers {
  readonly #watchers = new Set<StoreWatcher>();
  readonly #sinks = new Set<WatchSink>();

  /**
   * @param snapshot sends the sink the current records, immediately or between two changes; changes
   * are sent afterwards.
   */
  watch(
    prefix: string,
    signal: AbortSignal | undefined,
    snapshot: (sink: WatchSink, follow: () => void) => void,
  ): AsyncIterator<StoreEvent, undefined> {
    const begin = (sink: WatchSink) => {
      let stopped = false;
      snapshot(sink, () => {
        if (!stopped) this.#sinks.add(sink);
      });
      return () => {
        stopped = true;
        this.#sinks.delete(sink);
      };
    };
    return new StoreWatcher(prefix, signal, begin, this.#watchers);
  }

  /** @param record creates a copy for each watch, so that none can change what another sees. */
  written(key: string, record: () => StoreRecord): void {
    for (const sink of this.#sinks) if (key.startsWith(sink.prefix)) sink.written(record());
  }

  deleted(key: string): void {
    for (const sink of this.#sinks) if (key.startsWith(sink.prefix)) sink.deleted(key);
  }

  /** Ends all watches. */
  end(): void {
    for (const watcher of this.#watchers) watcher.end();
  }
}
