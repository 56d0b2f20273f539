import { Buffer } from "node:buffer";
import type { Store, StoreEvent, StoreRecord } from "@micro-es/runtime";
import {
  byteCount,
  checkDelete,
  checkKey,
  checkOptions,
  checkWrite,
  type DeleteOptions,
  ExpiringRecords,
  ExpiryClock,
  type Fence,
  fenceOf,
  KeyLanes,
  type ListOptions,
  quoteKey,
  requireFence,
  requireVersion,
  type StoreGuarantees,
  StoreReaders,
  type StoreWatchOptions,
  type WriteOptions,
} from "@micro-es/runtime/driver";
import { postgresPartKinds } from "../link/options.ts";
import { PostgresPart, type PostgresPartOptions } from "../link/part.ts";
import type { Row } from "../link/session.ts";
import { channelOf, quoted } from "../link/tables.ts";
import { Cleaning } from "./cleaning.ts";
import { ChangeFeed } from "./feed.ts";
import { readPages } from "./list.ts";
import { encodeMetadata, expiryOf, recordColumns, recordOf } from "./record.ts";
import { storeTables } from "./tables.ts";
import { WakeUp } from "./wake-up.ts";

/** Where a {@link postgresStore} keeps its records, and how it connects. */
export type PostgresStoreOptions = PostgresPartOptions & {
  /** Maximum size of one value with its metadata, in bytes. Default 1,000,000. */
  readonly maxValueBytes?: number;
};

/** A change of a key, for the function that makes it. */
interface Change {
  readonly action: "write" | "delete";
  readonly key: string;
  readonly value: Buffer | null;
  readonly metadata: string | null;
  readonly expiresAt: number | undefined;
  readonly ifVersion: bigint | undefined;
  readonly fence: Fence | undefined;
}

/**
 * A store in PostgreSQL (13 and later), shared by all processes on the same schema of a database.
 * Its tables are created on first use. Each write is one statement in a transaction of its own.
 *
 * An expired record cannot be read, by the reader's clock. It is removed within a minute, once it
 * has expired by the server's clock as well.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { postgresStore } from "@micro-es/postgres";
 *
 * await using store = postgresStore({ servers: "127.0.0.1", user: "app", database: "app" });
 * await store.write("greeting", new TextEncoder().encode("Hello"));
 * ```
 */
export function postgresStore(options: PostgresStoreOptions = {}): Store {
  const own = { maxValueBytes: byteCount };
  checkOptions("postgresStore", options, { ...postgresPartKinds, ...own });
  return new PostgresStore(options);
}

class PostgresStore extends PostgresPart implements Store {
  readonly name = "postgres";
  readonly guarantees: StoreGuarantees;
  readonly #table: string;
  readonly #clock = new ExpiryClock();
  readonly #lanes = new KeyLanes();
  readonly #readers = new StoreReaders();
  readonly #feed: ChangeFeed;
  readonly #wakeUp: WakeUp;
  readonly #cleaning: Cleaning;

  constructor({ maxValueBytes = 1_000_000, ...options }: PostgresStoreOptions) {
    super(options, storeTables);
    const schema = quoted(this.link.schema);
    this.#table = `${schema}.store`;
    this.#feed = new ChangeFeed(this.link, this.tables, () => this.#clock.now());
    this.#wakeUp = new WakeUp(this.link, channelOf(this.link.schema, "store"));
    this.#cleaning = new Cleaning(async () => {
      const now = this.#clock.now();
      await this.link.query(`select ${schema}.store_clean($1)`, [now], "clean the store");
    });
    this.guarantees = {
      reads: "linearizable",
      durability: "power-loss",
      compareAndSet: true,
      fencing: true,
      watch: true,
      sharing: "backend",
      maxKeyBytes: 512,
      maxValueBytes,
    };
  }

  async open(): Promise<void> {
    this.check("open the store");
    await this.tables.ready();
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    checkKey("read", key, this.guarantees.maxKeyBytes, this.isClosing);
    const text = `select ${recordColumns} from ${this.#table} where key = $1 and value is not null`;
    const what = `read store key ${quoteKey(key)}`;
    const [row] = await this.#query(text, [Buffer.from(key)], what);
    return row === undefined ? undefined : this.#recordOf(row);
  }

  async write(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<bigint> {
    checkKey("write", key, this.guarantees.maxKeyBytes, this.isClosing);
    const now = this.#clock.now();
    const write = checkWrite(key, value, options, now, this.guarantees.maxValueBytes);
    const bytes = Buffer.from(write.value.buffer, write.value.byteOffset, write.value.byteLength);
    const { new_version: version } = await this.#change({
      action: "write",
      key,
      value: bytes,
      metadata: encodeMetadata(write.metadata),
      expiresAt: write.expiresAt,
      ifVersion: write.ifVersion,
      fence: fenceOf(options),
    });
    return BigInt(version as string);
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    checkKey("delete", key, this.guarantees.maxKeyBytes, this.isClosing);
    checkDelete(key, options);
    const { found_version: found } = await this.#change({
      action: "delete",
      key,
      value: null,
      metadata: null,
      expiresAt: undefined,
      ifVersion: options.ifVersion,
      fence: fenceOf(options),
    });
    return found !== null && found !== "0";
  }

  list(options?: ListOptions): AsyncIterable<StoreRecord> {
    const read = (text: string, values: readonly (Buffer | number | null)[]) =>
      this.#query(text, values, "list the store");
    return this.#readers.list(
      options,
      (listing, signals) => readPages(this.#table, listing, read, signals),
      (row) => this.#recordOf(row),
    );
  }

  watch(options: StoreWatchOptions = {}): AsyncIterable<StoreEvent> {
    return this.#readers.watch(options, (sink) => {
      const records = new ExpiringRecords(sink, this.#clock);
      const stop = this.#feed.follow(sink.prefix, records);
      return () => {
        stop();
        records.close();
      };
    });
  }

  protected override async end(): Promise<void> {
    this.#readers.end();
    await this.#lanes.settled();
    await this.#cleaning.close();
    await this.#feed.close();
    await this.#wakeUp.settled();
  }

  /** Makes a change after those of its key that were asked for before. */
  #change(change: Change): Promise<Row> {
    const { action, key, ifVersion, fence } = change;
    const what = `${action} store key ${quoteKey(key)}`;
    const text = `select * from ${quoted(this.link.schema)}.store_change($1, $2, $3, $4, $5, $6, $7, $8)`;
    return this.#lanes.run(key, async () => {
      const [row = {}] = await this.#query(
        text,
        [
          Buffer.from(key),
          change.value,
          change.metadata,
          change.expiresAt ?? null,
          ifVersion ?? null,
          fence === undefined ? null : Buffer.from(fence.lock),
          fence === undefined ? null : fence.token,
          this.#clock.now(),
        ],
        what,
      );
      const { prevented, found_version: found, largest } = row;
      if (prevented === "version") {
        requireVersion(key, ifVersion, BigInt((found ?? "0") as string), action);
      } else if (prevented === "fence") {
        requireFence(key, fence, BigInt(largest as string));
      }
      this.#wakeUp.written();
      return row;
    });
  }

  #query(
    text: string,
    values: readonly (Buffer | string | number | bigint | null)[],
    what: string,
  ): Promise<readonly Row[]> {
    this.#cleaning.begin();
    return this.tables.use(() => this.link.query(text, values, what));
  }

  /** The record in a row; undefined if it has expired. */
  #recordOf(row: Row): StoreRecord | undefined {
    return expiryOf(row) > this.#clock.now() ? recordOf(row) : undefined;
  }
}
