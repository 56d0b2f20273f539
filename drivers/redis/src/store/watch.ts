import type { Buffer } from "node:buffer";
import type { StoreRecord } from "@micro-es/runtime";
import {
  compareKeys,
  ExpiringRecords,
  type ExpiryClock,
  type WatchSink,
} from "@micro-es/runtime/driver";
import type { ChannelFollower } from "../link/feed.ts";
import type { RedisLink } from "../link/link.ts";
import type { StoreKeys } from "./keys.ts";
import { readPages } from "./pages.ts";
import { changeOf, type RecordChange } from "./record.ts";

/** Up to which key a snapshot has the changes up to which version. */
interface Covered {
  readonly upTo: string | undefined;
  readonly version: bigint;
}

/** Changes that arrive while a snapshot is read; more than this, and it begins again. */
const maxWaiting = 10_000;
/** A snapshot that cannot be read is read again after this time, in milliseconds. */
const retryMs = 250;

/**
 * One watch: a snapshot, and then the changes that it does not contain. Changes are published as
 * long as the connection lasts, so after its end another snapshot follows.
 */
export class RecordWatch implements ChannelFollower {
  readonly #link: RedisLink;
  readonly #keys: StoreKeys;
  readonly #sink: WatchSink;
  readonly #clock: ExpiryClock;
  readonly #records: ExpiringRecords;
  readonly #stop: () => void;
  /** Ends the reading of the current snapshot. */
  #reading: AbortController | undefined;
  /** Changes that arrived meanwhile. */
  #waiting: RecordChange[] = [];
  #covered: readonly Covered[] = [];
  /** The largest version among those. */
  #coveredVersion = 0n;
  #isCurrent = false;
  #closed = false;

  constructor(link: RedisLink, keys: StoreKeys, sink: WatchSink, clock: ExpiryClock) {
    this.#link = link;
    this.#keys = keys;
    this.#sink = sink;
    this.#clock = clock;
    this.#records = new ExpiringRecords(sink, clock);
    this.#stop = link.feed.follow(keys.channel, this);
  }

  following(): void {
    void this.#read();
  }

  message(payload: Buffer): void {
    const change = changeOf(payload);
    if (change === undefined || !change.key.startsWith(this.#sink.prefix)) return;
    if (this.#isCurrent) this.#tell(change);
    else if (this.#reading === undefined) return;
    else if (this.#waiting.length < maxWaiting) this.#waiting.push(change);
    else void this.#read();
  }

  /** It is retried, and the store's state reports the problem. */
  failed(): void {
    this.#reading?.abort();
    this.#reading = undefined;
    this.#isCurrent = false;
  }

  close(): void {
    this.#closed = true;
    this.#reading?.abort();
    this.#stop();
    this.#records.close();
  }

  async #read(): Promise<void> {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.#isCurrent = false;
    this.#waiting = [];
    for (;;) {
      try {
        await this.#readOnce(reading);
        return;
      } catch {
        // The store's state reports the problem, or the watch has ended.
        if (reading.signal.aborted) return;
        await this.#link.pause(retryMs);
        if (reading.signal.aborted || this.#link.closed) return;
      }
    }
  }

  async #readOnce(reading: AbortController): Promise<void> {
    const covered: Covered[] = [];
    const records: StoreRecord[] = [];
    const range = { prefix: this.#sink.prefix };
    const signals = [reading.signal];
    for await (const page of readPages(this.#link, this.#keys, range, signals, "watch the store")) {
      const now = this.#clock.now();
      for (const record of page.records) {
        if ((record.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) > now) records.push(record);
      }
      covered.push({ upTo: page.last?.toString(), version: page.version });
    }
    if (reading.signal.aborted || this.#closed) return;
    this.#reading = undefined;
    this.#covered = covered;
    this.#coveredVersion = covered.at(-1)?.version ?? 0n;
    this.#records.snapshot(records);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#isCurrent = true;
    for (const change of waiting) this.#tell(change);
  }

  /** Whether the snapshot has a change, or a later one of the same key. */
  #isCovered({ key, version }: RecordChange): boolean {
    if (version > this.#coveredVersion) return false;
    const page = this.#covered.find(
      ({ upTo }) => upTo === undefined || compareKeys(key, upTo) <= 0,
    );
    return page !== undefined && version <= page.version;
  }

  #tell(change: RecordChange): void {
    if (this.#isCovered(change)) return;
    if (change.record === undefined) this.#records.deleted(change.key);
    else this.#records.written(change.record);
  }
}
