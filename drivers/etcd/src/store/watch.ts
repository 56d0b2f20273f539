import type { StoreRecord } from "@micro-es/runtime";
import type { ExpiringRecords } from "@micro-es/runtime/driver";
import type { EtcdEntry, Snapshot } from "../link/entries.ts";
import type { WatchFollower } from "../link/watches.ts";

/** Reports the changes of records in etcd to a watch. */
export class RecordFollower implements WatchFollower {
  readonly #records: ExpiringRecords;
  readonly #keyOf: (entry: EtcdEntry) => string;
  readonly #read: (entry: EtcdEntry) => StoreRecord;
  readonly #isLive: (value: Uint8Array) => boolean;

  constructor(
    records: ExpiringRecords,
    keyOf: (entry: EtcdEntry) => string,
    read: (entry: EtcdEntry) => StoreRecord,
    isLive: (value: Uint8Array) => boolean,
  ) {
    this.#records = records;
    this.#keyOf = keyOf;
    this.#read = read;
    this.#isLive = isLive;
  }

  snapshot({ entries }: Snapshot): void {
    const live = entries.filter(({ value }) => this.#isLive(value));
    this.#records.snapshot(live.map(this.#read));
  }

  change(entry: EtcdEntry): void {
    if (entry.deleted) this.#records.deleted(this.#keyOf(entry));
    // One that has already expired is reported as deleted at once: each change is reported.
    else this.#records.written(this.#read(entry));
  }

  /** It is retried, and the store's state reports the problem. */
  failed(): void {}
}
