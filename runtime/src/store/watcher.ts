import { type Abortable, unwatchAbort, watchAbort } from "../abort-watch.ts";
import type { MicroError } from "../error.ts";
import type { StoreEvent, StoreRecord } from "./store.ts";

/** Events that wait for one reader; past it they give way to a snapshot. */
export const maxWatcherEvents = 1_024;

/** Takes what a store has to tell to one watch. */
export interface WatchSink {
  readonly prefix: string;
  /** Everything that there is now, in place of all that was told before. */
  snapshot(records: readonly StoreRecord[]): void;
  written(record: StoreRecord): void;
  deleted(key: string): void;
  /** The watch cannot go on, and ends with this. */
  fail(error: MicroError): void;
}

type Result = IteratorResult<StoreEvent, undefined>;

interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: MicroError) => void;
}

const done: Result = { done: true, value: undefined };

/**
 * One iteration of a watch. It holds a bounded number of events: a reader that is further behind begins anew, with a
 * snapshot, when it has read what it has.
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
   * @param begin tells the sink a snapshot and then changes, until the function that it returned is called.
   * @param open has it until it ends.
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
    if (signal?.aborted === true) {
      this.#ended = true;
      return;
    }
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

/** The watches of a store of one process, which tells them what it changes. */
export class StoreWatchers {
  readonly #watchers = new Set<StoreWatcher>();
  readonly #sinks = new Set<WatchSink>();

  /** @param snapshot tells the sink what there is, at once or between two changes; then changes are told as well. */
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

  /** @param record made for each watch, so that none can change what another sees. */
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
