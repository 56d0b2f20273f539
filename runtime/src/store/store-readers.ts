import { throwIfAborted } from "../base/abort.ts";
import { checkListing, type Listing } from "./key.ts";
import type { ListOptions, StoreEvent, StoreRecord, StoreWatchOptions } from "./store.ts";
import { requireOpen, storeClosed } from "./validate-write.ts";
import { StoreWatcher, type WatchSink } from "./watcher.ts";

/**
 * Reads the entries of a listing page by page, by key, from its prefix and `after` on. It may skip
 * those without the suffix, and stop after `offset` plus `limit` with it.
 * @throws MicroError what a signal says when it fires.
 */
type ReadPages<Entry> = (
  listing: Listing,
  signals: readonly (AbortSignal | undefined)[],
) => AsyncIterable<readonly Entry[]>;

/** The listings and watches of a store whose records a backend has; they end with the store. */
export class StoreReaders {
  readonly #closing = new AbortController();
  readonly #watchers = new Set<StoreWatcher>();

  /**
   * @param recordOf the record in an entry, undefined if it has expired. It is called when the
   * record is delivered, which may be long after its page was read.
   */
  list<Entry>(
    options: ListOptions | undefined,
    read: ReadPages<Entry>,
    recordOf: (entry: Entry) => StoreRecord | undefined,
  ): AsyncIterable<StoreRecord> {
    const listing = checkListing(options);
    return { [Symbol.asyncIterator]: () => this.#list(listing, read, recordOf) };
  }

  /**
   * @param begin as that of {@link StoreWatcher}.
   * @throws MicroError `unavailable` after {@link end}.
   */
  watch(
    options: StoreWatchOptions,
    begin: (sink: WatchSink) => () => void,
  ): AsyncIterable<StoreEvent> {
    const closing = this.#closing.signal;
    requireOpen(closing.aborted, "watch the store");
    const { prefix, signal } = checkListing(options);
    return {
      [Symbol.asyncIterator]: () =>
        new StoreWatcher(prefix, closing.aborted ? closing : signal, begin, this.#watchers),
    };
  }

  /** Ends all watches, and fails all listings with `unavailable`. */
  end(): void {
    this.#closing.abort(storeClosed("list the store"));
    for (const watcher of this.#watchers) watcher.end();
  }

  async *#list<Entry>(
    listing: Listing,
    read: ReadPages<Entry>,
    recordOf: (entry: Entry) => StoreRecord | undefined,
  ): AsyncGenerator<StoreRecord, void, undefined> {
    const { suffix } = listing;
    let { limit, offset } = listing;
    const signals = [listing.signal, this.#closing.signal];
    const check = () => {
      for (const signal of signals) throwIfAborted(signal);
    };
    check();
    if (limit === 0) return;
    for await (const page of read(listing, signals)) {
      check();
      for (const entry of page) {
        const record = recordOf(entry);
        if (record?.key.endsWith(suffix) !== true) continue;
        if (offset > 0) {
          offset--;
          continue;
        }
        yield record;
        check();
        if (--limit === 0) return;
      }
    }
    check();
  }
}
