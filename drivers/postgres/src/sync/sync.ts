import { Buffer } from "node:buffer";
import type { Sync } from "@micro-es/runtime";
import {
  checkOptions,
  type LeaseRecord,
  type LeaseRecordList,
  type LeaseRecords,
  type LeaseRecordWatcher,
  LeaseSync,
  ObservedLeases,
} from "@micro-es/runtime/driver";
import { postgresPartKinds } from "../link/options.ts";
import { PostgresPart, type PostgresPartOptions } from "../link/part.ts";
import type { Row, Value } from "../link/session.ts";
import { quoted } from "../link/tables.ts";
import { leaseColumns, leaseOf, type PostgresLease } from "./lease.ts";
import { LeaseWatches } from "./lease-watches.ts";
import { syncTables } from "./tables.ts";

/** How a {@link postgresSync} connects. */
export type PostgresSyncOptions = PostgresPartOptions;

/**
 * Locks and leaders in PostgreSQL (13 and later), for all processes on the same schema of a
 * database. A lease is a row that its holder rewrites, and a token is the revision at which it was
 * taken. Revisions are drawn from a sequence while the row is locked, so they grow.
 *
 * A lease ends when its row has not changed for its ttl on the clock of the process that wants it,
 * so no two clocks are compared. They are not PostgreSQL's advisory locks.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { postgresSync } from "@micro-es/postgres";
 *
 * await using sync = postgresSync({ servers: "127.0.0.1", user: "app", database: "app" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function postgresSync(options: PostgresSyncOptions = {}): Sync {
  checkOptions("postgresSync", options, postgresPartKinds);
  return new LeaseSync(new ObservedLeases(new PostgresLeaseRecords(options)), {
    reach: "backend",
    fairness: "process",
    durability: "power-loss",
  });
}

/** The rows of leases. */
class PostgresLeaseRecords extends PostgresPart implements LeaseRecords {
  readonly name = "postgres";
  readonly #schema: string;
  readonly #watches: LeaseWatches;

  constructor(options: PostgresSyncOptions) {
    super(options, syncTables);
    this.#schema = quoted(this.link.schema);
    this.#watches = new LeaseWatches(this.link, (keys) => this.#read(keys));
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    const [lease] = await this.#read([key]);
    return lease;
  }

  async put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    const text = `select new_revision from ${this.#schema}.lease_put($1, $2, $3)`;
    const values = [Buffer.from(key), Buffer.from(value), ifRevision];
    const [row] = await this.#query(text, values, `write the lease ${key}`);
    const revision = row?.new_revision ?? null;
    return revision === null ? undefined : BigInt(revision as string);
  }

  async delete(key: string, ifRevision: bigint): Promise<boolean> {
    const text = `select deleted from ${this.#schema}.lease_delete($1, $2)`;
    const [row] = await this.#query(text, [Buffer.from(key), ifRevision], `release ${key}`);
    return row?.deleted === "t";
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    return this.#watches.watch(key, watcher);
  }

  async list(): Promise<LeaseRecordList> {
    const text = `select ${leaseColumns}, extract(epoch from clock_timestamp()) * 1000 as now
      from ${this.#schema}.leases`;
    const rows = await this.#query(text, [], "list leases");
    const [first] = rows;
    if (first === undefined) return { records: [] };
    return { records: rows.map(leaseOf), now: Number(first.now) };
  }

  protected override async end(): Promise<void> {
    await this.#watches.close();
  }

  async #read(keys: readonly string[]): Promise<readonly PostgresLease[]> {
    const text = `select ${leaseColumns} from ${this.#schema}.leases
      where key = any (select decode(hex, 'hex') from unnest($1::text[]) hex)`;
    const hex = keys.map((key) => Buffer.from(key).toString("hex"));
    const what = keys.length === 1 ? `read the lease ${keys[0]}` : "read leases";
    return (await this.#query(text, [hex], what)).map(leaseOf);
  }

  #query(text: string, values: readonly Value[], what: string): Promise<readonly Row[]> {
    return this.tables.use(() => this.link.query(text, values, what));
  }
}
