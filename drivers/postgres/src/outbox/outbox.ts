import type { EventPublisher } from "@micro-es/runtime";
import { byteCount, checkOptions, flag } from "@micro-es/runtime/driver";
import { postgresPartKinds } from "../link/options.ts";
import { PostgresPart, type PostgresPartOptions } from "../link/part.ts";
import type { Row } from "../link/session.ts";
import { channelOf, quoted } from "../link/tables.ts";
import { relayKinds } from "./option-kinds.ts";
import { OutboxPublisher, type OutboxQuery, type OutboxTransaction } from "./publisher.ts";
import { type OutboxRelay, type OutboxRelayOptions, Relay } from "./relay.ts";
import { outboxTables } from "./tables.ts";

/** How a {@link postgresOutbox} connects, and what it takes. */
export type PostgresOutboxOptions = PostgresPartOptions & {
  /** Maximum size of the body of an event, in bytes. Default 1,000,000. */
  readonly maxEventBytes?: number;
  /**
   * Whether the commit of an event wakes the relay, by NOTIFY; otherwise the relay polls every two
   * seconds. NOTIFY has commits wait for each other, which shows at thousands a second. Default
   * true.
   */
  readonly notify?: boolean;
};

/** An event that the relay no longer attempts to publish. */
export interface ParkedEvent {
  /** Identifies it in the outbox. */
  readonly row: bigint;
  readonly id: string;
  readonly topic: string;
  readonly key: string | undefined;
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly error: string;
  readonly createdAt: Date;
  readonly parkedAt: Date;
}

/** How much is in the outbox. */
export interface OutboxStatus {
  /** Events to be published. */
  readonly waiting: number;
  readonly parked: number;
  /** How long the first of those that wait has been there, in milliseconds; 0 if there is none. */
  readonly oldestMs: number;
}

/**
 * Events that are published by the application's own transaction: they go to a broker if it
 * commits, at least once, and nowhere if it does not.
 */
export interface Outbox extends AsyncDisposable {
  /**
   * Creates the tables where they do not exist. Call it before the first transaction.
   * @throws MicroError `unavailable`; `permission_denied` if the user may not create them.
   */
  open(): Promise<void>;
  /**
   * A publisher whose events become part of a transaction. Its `publish` resolves when the event is
   * in it, and rejects as the statement of the application's library does.
   */
  within(transaction: OutboxTransaction | OutboxQuery): EventPublisher;
  /**
   * Begins to publish what is committed. Any number of processes may do so; one at a time is
   * active.
   * @throws MicroError `invalid_argument` for invalid options.
   */
  relay(options: OutboxRelayOptions): OutboxRelay;
  /** @throws MicroError `unavailable` */
  status(): Promise<OutboxStatus>;
  /** The parked events, in their order: at most `limit` (100) of those after a row. */
  parked(options?: {
    readonly after?: bigint;
    readonly limit?: number;
  }): Promise<readonly ParkedEvent[]>;
  /** Has the relay attempt a parked event again; false if it is not there. */
  retry(row: bigint): Promise<boolean>;
  /** Removes a parked event; false if it is not there. */
  drop(row: bigint): Promise<boolean>;
  /** Closes its relays, and the connection if it is its own. Idempotent. */
  close(): Promise<void>;
}

/**
 * A transactional outbox in PostgreSQL (13 and later).
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { postgresOutbox } from "@micro-es/postgres";
 * import { memoryBroker } from "@micro-es/runtime";
 *
 * await using outbox = postgresOutbox({ servers: "127.0.0.1", user: "app", database: "app" });
 * await outbox.open();
 * outbox.relay({ broker: memoryBroker() });
 * ```
 */
export function postgresOutbox(options: PostgresOutboxOptions = {}): Outbox {
  const own = { maxEventBytes: byteCount, notify: flag };
  checkOptions("postgresOutbox", options, { ...postgresPartKinds, ...own });
  return new PostgresOutbox(options);
}

class PostgresOutbox extends PostgresPart implements Outbox {
  readonly name = "postgres";
  readonly #table: string;
  readonly #relays = new Set<Relay>();
  readonly #maxEventBytes: number;
  readonly #notify: boolean;

  constructor({ maxEventBytes = 1_000_000, notify = true, ...options }: PostgresOutboxOptions) {
    super(options, outboxTables);
    this.#table = `${quoted(this.link.schema)}.outbox`;
    this.#maxEventBytes = maxEventBytes;
    this.#notify = notify;
  }

  async open(): Promise<void> {
    this.check("open the outbox");
    await this.tables.ready();
  }

  within(transaction: OutboxTransaction | OutboxQuery): EventPublisher {
    const query: OutboxQuery =
      typeof transaction === "function"
        ? transaction
        : (text, values) => transaction.query(text, values);
    return new OutboxPublisher(query, {
      schema: this.link.schema,
      maxEventBytes: this.#maxEventBytes,
      notify: this.#notify,
    });
  }

  relay(options: OutboxRelayOptions): OutboxRelay {
    checkOptions("outbox.relay", options, relayKinds);
    this.check("relay the outbox");
    const relay = new Relay(this.link, this.tables, options, () => this.#relays.delete(relay));
    this.#relays.add(relay);
    return relay;
  }

  async status(): Promise<OutboxStatus> {
    const [row = {}] = await this.#run(
      `select count(*) filter (where parked_at is null) as waiting,
        count(*) filter (where parked_at is not null) as parked,
        extract(epoch from clock_timestamp() - min(created_at) filter (where parked_at is null))
          * 1000 as oldest
      from ${this.#table}`,
      [],
      "read the state of the outbox",
    );
    const { waiting, parked, oldest } = row;
    const oldestMs = Math.max(0, Number(oldest ?? 0));
    return { waiting: Number(waiting), parked: Number(parked), oldestMs };
  }

  async parked(
    options: { readonly after?: bigint; readonly limit?: number } = {},
  ): Promise<readonly ParkedEvent[]> {
    const { after = 0n, limit = 100 } = options;
    const rows = await this.#run(
      `select id, event_id, topic, key, attempts, error,
        extract(epoch from created_at) * 1000 as created,
        extract(epoch from parked_at) * 1000 as parked
      from ${this.#table} where parked_at is not null and id > $1 order by id limit $2`,
      [`${after}`, `${limit}`],
      "list the parked events of the outbox",
    );
    return rows.map(parkedEvent);
  }

  async retry(row: bigint): Promise<boolean> {
    const rows = await this.#run(
      `update ${this.#table} set parked_at = null, retry_at = null, attempts = 0
      where id = $1 and parked_at is not null returning id`,
      [`${row}`],
      "retry a parked event of the outbox",
    );
    await this.link.notify(channelOf(this.link.schema, "outbox"), "");
    return rows.length > 0;
  }

  async drop(row: bigint): Promise<boolean> {
    const rows = await this.#run(
      `delete from ${this.#table} where id = $1 and parked_at is not null returning id`,
      [`${row}`],
      "drop a parked event of the outbox",
    );
    return rows.length > 0;
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#relays].map((relay) => relay.close()));
  }

  #run(text: string, values: readonly string[], what: string): Promise<readonly Row[]> {
    this.check(what);
    return this.tables.use(() => this.link.query(text, values, what));
  }
}

function parkedEvent(row: Row): ParkedEvent {
  const { key } = row;
  return {
    row: BigInt(row.id as string),
    id: row.event_id as string,
    topic: row.topic as string,
    key: key === null ? undefined : (key as string),
    attempts: Number(row.attempts),
    error: (row.error as string | null) ?? "",
    createdAt: new Date(Number(row.created)),
    parkedAt: new Date(Number(row.parked)),
  };
}
