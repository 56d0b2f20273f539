import { createLogger, type EventPublisher, type Logger } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  Closable,
  PartLogger,
  untilAborted,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import { postgresFailure } from "../link/failure.ts";
import type { PostgresLink } from "../link/link.ts";
import { untilPollMs } from "../link/part.ts";
import type { Query, Session } from "../link/session.ts";
import { channelOf, quoted, type Tables } from "../link/tables.ts";
import { nextEvents } from "./event-row.ts";
import { type BatchResult, publishBatch } from "./publish-batch.ts";

/** How events leave the outbox. */
export interface OutboxRelayOptions {
  /** Where events go: any broker, such as `service.broker`. It stays open. */
  readonly broker: EventPublisher;
  /** Maximum number of events taken at once. Default 256. */
  readonly batchSize?: number;
  /** Maximum number of events published concurrently. Default 64. */
  readonly maxInFlight?: number;
  /** How long a batch waits for the broker, in milliseconds. Default 10,000. */
  readonly publishTimeoutMs?: number;
  /**
   * Failed attempts to publish an event until it is parked, unless the broker is unavailable.
   * Default 10.
   */
  readonly maxAttempts?: number;
  /** Default: one that logs to the standard output. */
  readonly logger?: Logger;
}

/** Counters of a relay, since it began. */
export interface OutboxRelayStats {
  /** Events that the broker has accepted and that have left the outbox. */
  readonly published: number;
  /** Failed attempts to publish an event. */
  readonly failed: number;
  /** Events parked because they cannot be published. */
  readonly parked: number;
}

/** Moves events from the outbox to a broker, until it is closed. */
export interface OutboxRelay extends AsyncDisposable {
  /**
   * `active`: it publishes events, or waits for them. `standby`: another relay does. `failing`: the
   * broker or PostgreSQL is unavailable.
   */
  readonly state: "active" | "standby" | "failing";
  readonly stats: OutboxRelayStats;
  /**
   * Stops. Resolves when the events that are being published have left the outbox, or after
   * `publishTimeoutMs`. Idempotent.
   */
  close(): Promise<void>;
}

/** Waits after a batch of which nothing was published. */
const retry: Backoff = { firstMs: 100, factor: 2, mostMs: 5_000, jitter: 0.3 };
/** Waits of one event that failed. */
const eventRetry: Backoff = { firstMs: 200, factor: 2, mostMs: 60_000, jitter: 0.2 };
/** Waits of one event for which the broker is unavailable. */
const awayRetry: Backoff = { firstMs: 500, factor: 2, mostMs: 5_000, jitter: 0.2 };
/** So many batches in a row may fail as a whole before others are tried. */
const maxSameBatch = 3;
/** PostgreSQL lets another relay begin so long after a batch had to end, in milliseconds. */
const graceMs = 5_000;

/** Codes of errors that pass by themselves. */
const passing: ReadonlySet<string> = new Set([
  "unavailable",
  "deadline_exceeded",
  "canceled",
  "unauthenticated",
]);
/** Codes of errors that no further attempt avoids. */
const final: ReadonlySet<string> = new Set(["invalid_argument", "unimplemented", "out_of_range"]);

type BatchEnd = "standby" | "empty" | "some" | "failed";

/** The relay; one of all processes is active, which has the lock of a row while it has a batch. */
export class Relay extends Closable implements OutboxRelay {
  readonly #link: PostgresLink;
  readonly #tables: Tables;
  readonly #schema: string;
  readonly #broker: EventPublisher;
  readonly #batchSize: number;
  readonly #maxInFlight: number;
  readonly #publishTimeoutMs: number;
  readonly #maxAttempts: number;
  readonly #logger: PartLogger;
  readonly #stopping = new AbortController();
  readonly #stats = { published: 0, failed: 0, parked: 0 };
  readonly #onClosed: () => void;
  readonly #running: Promise<void>;
  #state: OutboxRelay["state"] = "standby";
  #session: Session | undefined;
  #wake: (() => void) | undefined;
  #isDue = false;
  /** Batches in a row that failed as a whole. */
  #failures = 0;

  /** @param onClosed called when it has closed. */
  constructor(
    link: PostgresLink,
    tables: Tables,
    options: OutboxRelayOptions,
    onClosed: () => void,
  ) {
    super();
    this.#onClosed = onClosed;
    this.#link = link;
    this.#tables = tables;
    this.#schema = quoted(link.schema);
    this.#broker = options.broker;
    this.#batchSize = options.batchSize ?? 256;
    this.#maxInFlight = options.maxInFlight ?? 64;
    this.#publishTimeoutMs = options.publishTimeoutMs ?? 10_000;
    this.#maxAttempts = options.maxAttempts ?? 10;
    this.#logger = new PartLogger(options.logger, createLogger());
    this.#running = this.#run();
  }

  get state(): OutboxRelay["state"] {
    return this.#state;
  }

  get stats(): OutboxRelayStats {
    return { ...this.#stats };
  }

  protected override async closeOnce(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#session?.close();
    this.#onClosed();
  }

  async #run(): Promise<void> {
    const stopListening = this.#link.listen(channelOf(this.#link.schema, "outbox"), () => {
      this.#isDue = true;
      this.#wake?.();
    });
    try {
      while (!this.#isStopping) {
        this.#isDue = false;
        const end = await this.#attempt();
        if (end === "some") continue;
        if (end === "failed")
          await this.#pause(backoffMs(retry, this.#failures, Math.random), false);
        else if (!this.#isDue || end === "standby") {
          await this.#pause(untilPollMs(this.#link), end !== "standby");
        }
      }
    } finally {
      stopListening();
    }
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Handles one batch; never rejects. */
  async #attempt(): Promise<BatchEnd> {
    try {
      const session = await this.#open();
      const end = await this.#tables.use(() => this.#batch(session));
      if (end === "failed") this.#failures++;
      else this.#failures = 0;
      const state = end === "failed" ? "failing" : end === "standby" ? "standby" : "active";
      this.#become(state, "the broker is unavailable");
      return end;
    } catch (error) {
      if (this.#isStopping) return "failed";
      this.#failures++;
      this.#become("failing", postgresFailure(error, "relay the outbox").message);
      return "failed";
    }
  }

  #become(state: OutboxRelay["state"], reason: string): void {
    if (state === this.#state) return;
    if (state === "failing") this.#logger.warn({ reason }, "the outbox is not relayed for now");
    else if (this.#state === "failing") this.#logger.info({}, "the outbox is relayed again");
    this.#state = state;
  }

  async #open(): Promise<Session> {
    const { signal } = this.#stopping;
    await untilAborted(this.#tables.ready(), signal);
    if (this.#session?.isOpen !== true) {
      this.#session = await this.#link.session("relay the outbox", signal);
    }
    return this.#session;
  }

  /** @throws an error of PostgreSQL; its events then stay in the outbox. */
  async #batch(session: Session): Promise<BatchEnd> {
    const query: Query = (text, values) => session.query(text, values);
    try {
      await query("begin");
      const { end, counts } = await this.#batchIn(query);
      await query("commit");
      for (const [name, count] of Object.entries(counts)) {
        this.#stats[name as keyof OutboxRelayStats] += count;
      }
      return end;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  async #batchIn(query: Query): Promise<{ end: BatchEnd; counts: Partial<OutboxRelayStats> }> {
    const lock = `select 1 from ${this.#schema}.outbox_relay for update skip locked`;
    if ((await query(lock)).length === 0) return { end: "standby", counts: {} };
    // A relay that was paused has to stop before another one begins.
    const endsAt = performance.now() + this.#publishTimeoutMs;
    const limit = `set local idle_in_transaction_session_timeout = ${this.#publishTimeoutMs + graceMs}`;
    await query(limit);
    const batch = await nextEvents(query, this.#schema, this.#batchSize);
    if (batch.length === 0 || this.#isStopping) return { end: "empty", counts: {} };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), endsAt - performance.now());
    const mayBegin = () => !this.#isStopping && performance.now() < endsAt;
    try {
      const { signal } = late;
      const result = await publishBatch(this.#broker, batch, this.#maxInFlight, mayBegin, signal);
      const counts = await this.#settle(query, result);
      const { published, failed } = result;
      const isAway = failed.length > 0 && failed.every(({ error }) => passing.has(error.code));
      const isFailed = published.length === 0 && isAway;
      return { end: isFailed ? "failed" : "some", counts };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Removes what was published, and notes what was not. */
  async #settle(query: Query, { published, failed }: BatchResult): Promise<OutboxRelayStats> {
    let parked = 0;
    const rows = published.map(({ row }) => row);
    if (rows.length > 0) {
      await query(`delete from ${this.#schema}.outbox where id = any ($1::bigint[])`, [rows]);
    }
    const isAway = failed.every(({ error }) => passing.has(error.code));
    const isKept = published.length === 0 && isAway && this.#failures < maxSameBatch;
    for (const { waiting, error } of isKept ? [] : failed) {
      const { row, topic, event } = waiting;
      const attempts = waiting.attempts + 1;
      const isPassing = passing.has(error.code);
      const isParked = final.has(error.code) || (!isPassing && attempts >= this.#maxAttempts);
      const waits = isPassing ? awayRetry : eventRetry;
      const delayMs = Math.ceil(backoffMs(waits, attempts, Math.random));
      await query(
        `update ${this.#schema}.outbox set attempts = attempts + 1, error = $2,
          retry_at = clock_timestamp() + $3 * interval '1 millisecond',
          parked_at = case when $4 = 'true' then clock_timestamp() end
        where id = $1`,
        [row, error.message.replaceAll("\0", ""), delayMs, String(isParked)],
      );
      const fields = { topic, event: event.id, key: event.key, row, attempts, error };
      if (isParked) {
        parked++;
        this.#logger.error(fields, "an event of the outbox is parked: it cannot be published");
      } else if (!isPassing) {
        this.#logger.warn(fields, "an event of the outbox was not published; it is retried");
      }
    }
    return { published: published.length, failed: failed.length, parked };
  }

  async #pause(ms: number, canWake: boolean): Promise<void> {
    await waitUntilAborted(this.#stopping.signal, (done) => {
      const timer = setTimeout(done, ms);
      if (canWake) this.#wake = done;
      return () => {
        clearTimeout(timer);
        this.#wake = undefined;
      };
    });
  }
}
