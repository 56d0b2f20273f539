import { Buffer } from "node:buffer";
import { type LeaseRecordWatcher, waitUntilAborted } from "@micro-es/runtime/driver";
import type { PostgresLink } from "../link/link.ts";
import { untilPollMs } from "../link/part.ts";
import { channelOf } from "../link/tables.ts";
import type { PostgresLease } from "./lease.ts";

/** Those who wait for leases, in one loop that reads all that may have changed at once. */
export class LeaseWatches {
  readonly #link: PostgresLink;
  readonly #read: (keys: readonly string[]) => Promise<readonly PostgresLease[]>;
  readonly #watchers = new Map<string, Set<LeaseRecordWatcher>>();
  readonly #due = new Set<string>();
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  /** @param read the leases of these keys that exist. */
  constructor(
    link: PostgresLink,
    read: (keys: readonly string[]) => Promise<readonly PostgresLease[]>,
  ) {
    this.#link = link;
    this.#read = read;
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    const there = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, there.add(watcher));
    this.#poke([key]);
    this.#start();
    return () => {
      there.delete(watcher);
      if (there.size > 0 || this.#watchers.get(key) !== there) return;
      this.#watchers.delete(key);
      if (this.#watchers.size === 0) this.#wake?.();
    };
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#watchers.clear();
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // A watcher may have come since the last one left.
      if (this.#watchers.size > 0) this.#start();
    });
  }

  #poke(keys: Iterable<string>): void {
    for (const key of keys) if (this.#watchers.has(key)) this.#due.add(key);
    if (this.#due.size > 0) this.#wake?.();
  }

  async #run(): Promise<void> {
    const channel = channelOf(this.#link.schema, "sync");
    const all = () => this.#poke(this.#watchers.keys());
    const stopListening = this.#link.listen(channel, (payload) => {
      if (payload === undefined) all();
      else this.#poke([Buffer.from(payload, "hex").toString()]);
    });
    const stopWatching = this.#link.onReconnect(all);
    try {
      while (this.#watchers.size > 0) {
        const keys = [...this.#due];
        this.#due.clear();
        if (keys.length > 0) await this.#tell(keys);
        if (this.#due.size === 0 && this.#watchers.size > 0) await this.#pause();
      }
    } finally {
      stopListening();
      stopWatching();
    }
  }

  async #pause(): Promise<void> {
    await waitUntilAborted(this.#ending.signal, (done) => {
      const timer = setTimeout(() => {
        this.#poke(this.#watchers.keys());
        done();
      }, untilPollMs(this.#link));
      this.#wake = done;
      return () => {
        clearTimeout(timer);
        this.#wake = undefined;
      };
    });
  }

  async #tell(keys: readonly string[]): Promise<void> {
    const of = (key: string) => [...(this.#watchers.get(key) ?? [])];
    try {
      const found = new Map((await this.#read(keys)).map((lease) => [lease.key, lease]));
      for (const key of keys) for (const watcher of of(key)) watcher.changed(found.get(key));
    } catch {
      // The next attempt to take the lock reports the problem.
      for (const key of keys) for (const watcher of of(key)) watcher.failed();
    }
  }
}
