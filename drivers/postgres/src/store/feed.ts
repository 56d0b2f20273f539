import { Buffer } from "node:buffer";
import { asMicroError } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  type ExpiringRecords,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import type { PostgresLink } from "../link/link.ts";
import { untilPollMs } from "../link/part.ts";
import type { Query, Row } from "../link/session.ts";
import { channelOf, quoted, type Tables } from "../link/tables.ts";
import { endOfPrefix, expiryOf, keyOf, recordColumns, recordOf } from "./record.ts";

const retry: Backoff = { firstMs: 100, factor: 2, mostMs: 2_000, jitter: 0.5 };
/** Beyond so many changes at once, reading all records is no more work. */
const maxChanges = 5_000;

/** A watch that the feed tells what happens. */
interface Follower {
  readonly prefix: string;
  readonly records: ExpiringRecords;
  /** Whether it has a snapshot, at the feed's position. */
  isCurrent: boolean;
}

/** What the feed has seen: all changes that are visible in a snapshot of transactions. */
interface Position {
  readonly snapshot: string;
  /** Another one is another server, or one that was restarted. */
  readonly epoch: string;
}

/**
 * Tells the watches of a store what changes, in the order of commits. Versions are not committed in
 * their order, so the position in the log of changes is a snapshot of transactions, and the next
 * changes are those that were not visible in it.
 */
export class ChangeFeed {
  readonly #link: PostgresLink;
  readonly #tables: Tables;
  readonly #schema: string;
  readonly #now: () => number;
  readonly #followers = new Set<Follower>();
  readonly #ending = new AbortController();
  #position: Position | undefined;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #isDue = false;

  /** @param now the clock by which records expire. */
  constructor(link: PostgresLink, tables: Tables, now: () => number) {
    this.#link = link;
    this.#tables = tables;
    this.#schema = quoted(link.schema);
    this.#now = now;
  }

  /** Follows the records with a prefix until the returned function is called. */
  follow(prefix: string, records: ExpiringRecords): () => void {
    const follower: Follower = { prefix, records, isCurrent: false };
    this.#followers.add(follower);
    this.poke();
    this.#start();
    return () => {
      this.#followers.delete(follower);
      if (this.#followers.size === 0) this.poke();
    };
  }

  /** Looks for changes now. */
  poke(): void {
    this.#isDue = true;
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#followers.clear();
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // A watch may have been added since the last one ended.
      if (this.#followers.size > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    const channel = channelOf(this.#link.schema, "store");
    const stopListening = this.#link.listen(channel, () => this.poke());
    const stopWatching = this.#link.onReconnect(() => this.poke());
    let failures = 0;
    try {
      while (this.#followers.size > 0) {
        this.#isDue = false;
        try {
          await this.#round();
          failures = 0;
        } catch (error) {
          // The store's state reports that the server is lost; whatever else it is is retried.
          failures++;
          if (asMicroError(error).code !== "unavailable") {
            this.#position = undefined;
            this.#startOver();
          }
        }
        const waitMs =
          failures === 0 ? untilPollMs(this.#link) : backoffMs(retry, failures, Math.random);
        await this.#pause(waitMs, failures > 0);
      }
    } finally {
      stopListening();
      stopWatching();
      this.#position = undefined;
    }
  }

  /** @param isRetry whether it is waited for although something may be due. */
  async #pause(ms: number, isRetry: boolean): Promise<void> {
    if (this.#isDue && !isRetry) return;
    await waitUntilAborted(this.#ending.signal, (done) => {
      const timer = setTimeout(done, ms);
      this.#wake = () => {
        if (!isRetry || this.#followers.size === 0) done();
      };
      return () => {
        clearTimeout(timer);
        this.#wake = undefined;
      };
    });
  }

  /** Reads what has changed, and all records for watches that have none, at one time. */
  async #round(): Promise<void> {
    const beginners = [...this.#followers].filter(({ isCurrent }) => !isCurrent);
    const what = "watch the store";
    if (beginners.length === 0) {
      const rows = await this.#link.query(...this.#changes(), what);
      if (!this.#tell(rows)) this.#startOver();
      return;
    }
    const read = (query: Query) => this.#read(query, beginners);
    const begin = "begin isolation level repeatable read read only";
    const { changes, snapshots } = await this.#tables.use(() =>
      this.#link.transaction(what, read, begin),
    );
    if (!this.#tell(changes)) this.#startOver(beginners);
    for (const [follower, rows] of snapshots) {
      if (!this.#followers.has(follower)) continue;
      follower.isCurrent = true;
      const now = this.#now();
      follower.records.snapshot(rows.filter((row) => expiryOf(row) > now).map(recordOf));
    }
  }

  async #read(query: Query, beginners: readonly Follower[]) {
    const changes = await query(...this.#changes());
    const snapshots = new Map<Follower, readonly Row[]>();
    for (const follower of beginners) {
      const { prefix } = follower;
      const rows = await query(
        `select ${recordColumns} from ${this.#schema}.store
          where key >= $1 and key < $2 and value is not null`,
        [Buffer.from(prefix), endOfPrefix(prefix)],
      );
      snapshots.set(follower, rows);
    }
    return { changes, snapshots };
  }

  /** The statement for the changes since the position; without one, for a position alone. */
  #changes(): [text: string, values: string[]] {
    const columns = ["key", "version", "value", "metadata", "expires_at"];
    const last = this.#position?.snapshot;
    const state = `pg_current_snapshot()::text as snapshot,
      pg_postmaster_start_time()::text as epoch`;
    if (last === undefined) {
      const none = columns.map((name) => `null as ${name}`);
      return [`select ${state}, false as gap, ${none.join(", ")}`, []];
    }
    return [
      `select ${state}, s.trimmed >= pg_snapshot_xmin($1::pg_snapshot) as gap,
        ${columns.map((name) => `c.${name}`).join(", ")}
      from ${this.#schema}.store_state s left join ${this.#schema}.store_changes c
        on c.xid >= pg_snapshot_xmin($1::pg_snapshot)
          and not pg_visible_in_snapshot(c.xid, $1::pg_snapshot)
      order by c.version limit ${maxChanges + 1}`,
      [last],
    ];
  }

  /**
   * Tells the changes, and moves the position.
   * @returns false if some may be missing.
   */
  #tell(rows: readonly Row[]): boolean {
    const [first] = rows;
    if (first === undefined) throw new Error("the table store_state has lost its row");
    const last = this.#position;
    const position = { snapshot: first.snapshot as string, epoch: first.epoch as string };
    this.#position = position;
    const isGap =
      first.gap === "t" ||
      rows.length > maxChanges ||
      (last !== undefined && last.epoch !== position.epoch);
    if (isGap) return false;
    for (const row of rows) if (row.key !== null) this.#tellChange(row);
    return true;
  }

  #tellChange(row: Row): void {
    const key = keyOf(row);
    for (const { prefix, records, isCurrent } of [...this.#followers]) {
      if (!isCurrent || !key.startsWith(prefix)) continue;
      if (row.value === null) records.deleted(key);
      // One that has already expired is reported as deleted at once: each change is reported.
      else records.written(recordOf(row));
    }
  }

  /** All watches but these need a snapshot. */
  #startOver(but: readonly Follower[] = []): void {
    for (const follower of this.#followers) {
      if (!but.includes(follower)) follower.isCurrent = false;
    }
    this.#isDue = true;
  }
}
