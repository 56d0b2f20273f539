import { type Abortable, unwatchAbort, watchAbort } from "../base/abort-watch.ts";
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

type Result = IteratorResult<StoreEvent, undefined>;

interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: MicroError) => void;
}

const done: Result = { done: true, value: undefined };

/**
 * One iteration of a watch. It queues a limited number of events: a reader that falls further
 * behind starts over with a snapshot after reading the queued ones.
 */
export class StoreWatcher implements AsyncIterator<StoreEvent, undefined>, WatchSink, Abortable {
  readonly prefix: string;
  readonly #begin: (sink: WatchSink) => () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #open: Set<StoreWatcher>;
  #stop: (() => void) | undefined;
  #events: StoreEvent[] = [];
  #waiting: Waiting[] = [];
  #failure: MicroError | undefined;
  #ended = false;

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
    this.prefix = prefix;
    this.#begin = begin;
    this.#signal = signal;
    this.#open = open;
    open.add(this);
    if (signal !== undefined) watchAbort(signal, this);
  }

  snapshot(records: readonly StoreRecord[]): void {
    this.#events = [];
    this.#tell({ type: "snapshot", records });
  }

  written(record: StoreRecord): void {
    this.#tell({ type: "written", record });
  }

  deleted(key: string): void {
    this.#tell({ type: "deleted", key });
  }

  fail(error: MicroError): void {
    const reader = this.#waiting.shift();
    if (reader !== undefined) reader.reject(error);
    else if (!this.#ended) this.#failure = error;
    this.end();
  }

  async next(): Promise<Result> {
    const event = this.#events.shift();
    if (event !== undefined) return { done: false, value: event };
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    if (this.#ended) return done;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#stop ??= this.#begin(this);
    });
  }

  async return(): Promise<Result> {
    this.end();
    return done;
  }

  aborted(): void {
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events = [];
    this.#stop?.();
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this);
    for (const { resolve } of this.#waiting.splice(0)) resolve(done);
    this.#open.delete(this);
  }

  #tell(event: StoreEvent): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting.resolve({ done: false, value: event });
    } else if (this.#events.length < maxWatcherEvents) {
      this.#events.push(event);
    } else {
      this.#events = [];
      this.#stop?.();
      this.#stop = undefined;
    }
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
