import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import { MicroError } from "@micro-es/runtime";
import { type BackendAddress, listenForAbort } from "@micro-es/runtime/driver";
import pg from "pg";
import { ConnectionLost, connectFailure, ResponseLate } from "./failure.ts";
import type { PostgresOptions } from "./options.ts";

/** A row by the names of its columns: text, bytes of `bytea`, or null. */
export type Row = Readonly<Record<string, string | Buffer | null>>;

/** A value of a statement. */
export type Value = string | number | bigint | boolean | Buffer | null | readonly string[];

/** Runs one statement. */
export type Query = (text: string, values?: readonly Value[]) => Promise<readonly Row[]>;

/** The oldest version that has what the statements use, as PostgreSQL numbers them. */
const oldestVersion = 13_00_00;

const byteaType = 17;
/** Applications change the parsers of `pg` for the whole process, so sessions have their own. */
const types = {
  getTypeParser: (oid: number) => (text: string) =>
    oid === byteaType ? Buffer.from(text.slice(2), "hex") : text,
};

/** How to open a session. */
export interface SessionOptions {
  readonly options: PostgresOptions;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * One connection to a server that accepts writes. It fails whatever waits on it, and is abandoned,
 * when a response does not come in time.
 */
export class Session {
  /** Whether a pooler, such as pgbouncer, stands between: no state outlives a transaction then. */
  readonly isPooled: boolean;
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #endListeners = new Set<() => void>();
  #isOpen = true;
  /** The last statement asked for: `pg` takes one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(client: pg.Client, socket: Socket, timeoutMs: number, isPooled: boolean) {
    this.#client = client;
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.isPooled = isPooled;
    client.on("end", () => this.#ended());
  }

  /**
   * Connects, and checks that the server accepts writes.
   * @throws MicroError `unavailable`, not executed; `unauthenticated`, `failed_precondition`.
   */
  static async connect(
    { host, port, text: place }: BackendAddress,
    { options, timeoutMs, signal }: SessionOptions,
  ): Promise<Session> {
    const { user, password, database, tls } = options;
    const socket = new Socket();
    const client = new pg.Client({
      host,
      port,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(database === undefined ? {} : { database }),
      ssl: tls === undefined ? false : tls === true ? {} : { ...tls },
      application_name: "micro-es",
      keepAlive: true,
      stream: () => socket,
      types: types as unknown as pg.CustomTypesConfig,
    });
    // Without a listener a broken connection ends the process.
    client.on("error", () => {});
    const giveUp = (reason: Error) => socket.destroy(reason);
    const timer = setTimeout(
      () => giveUp(new Error(`it did not respond within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const stopListening = listenForAbort(signal, () =>
      giveUp(new Error("the connection is closed")),
    );
    try {
      if (signal.aborted) throw new Error("the connection is closed");
      await client.connect();
      const isPooled = await prepare(client, timeoutMs, place);
      if (signal.aborted) throw new Error("the connection is closed");
      return new Session(client, socket, timeoutMs, isPooled);
    } catch (error) {
      socket.destroy();
      throw connectFailure(error, place);
    } finally {
      clearTimeout(timer);
      stopListening();
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Calls the listener once when the connection has ended, whoever ended it. */
  onEnd(listener: () => void): void {
    if (this.#isOpen) this.#endListeners.add(listener);
    else listener();
  }

  /** Calls the listener with each notification. */
  onNotification(listener: (channel: string, payload: string) => void): void {
    this.#client.on("notification", ({ channel, payload = "" }) => listener(channel, payload));
  }

  /**
   * Runs a statement, after those that were asked for before.
   * @throws an error of PostgreSQL, ConnectionLost or ResponseLate, for `postgresFailure`.
   */
  query(
    text: string,
    values: readonly Value[] = [],
    timeoutMs: number = this.#timeoutMs,
  ): Promise<readonly Row[]> {
    const running = this.#last.then(() => this.#run(text, values, timeoutMs));
    this.#last = running.catch(() => {});
    return running;
  }

  async #run(text: string, values: readonly Value[], timeoutMs: number): Promise<readonly Row[]> {
    if (!this.#isOpen) throw new ConnectionLost("the connection to PostgreSQL is lost");
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.destroy();
    }, timeoutMs);
    try {
      const { rows } = await this.#client.query<Row>(text, [...values]);
      // Several statements at once have several results, which are of no use.
      return rows ?? [];
    } catch (error) {
      if (isLate) {
        throw new ResponseLate(`PostgreSQL did not respond within ${timeoutMs} ms`, {
          cause: error,
        });
      }
      if (!this.#isOpen && !(error instanceof Error && "severity" in error)) {
        throw new ConnectionLost("the connection to PostgreSQL was lost before the response", {
          cause: error,
        });
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it at once. */
  destroy(): void {
    this.#socket.destroy();
    this.#ended();
  }

  /** Ends it with a goodbye; resolves when the socket is closed. */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    const timer = setTimeout(() => this.#socket.destroy(), 1_000);
    await this.#client.end().catch(() => {});
    clearTimeout(timer);
    this.destroy();
  }

  #ended(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const listeners = [...this.#endListeners];
    this.#endListeners.clear();
    for (const listener of listeners) listener();
  }
}

/**
 * Sets the limits of a session, and finds out what it is connected to.
 * @returns whether a pooler stands between: it has an id for cancellations of its own.
 */
async function prepare(client: pg.Client, timeoutMs: number, place: string): Promise<boolean> {
  const { processID } = client as unknown as { readonly processID: number | null };
  const settings = [
    // The server gives up first, so that the outcome is known.
    ["statement_timeout", String(Math.ceil(0.9 * timeoutMs))],
    ["idle_in_transaction_session_timeout", String(2 * timeoutMs)],
  ];
  const isDirect = `pg_backend_pid() = ${processID ?? 0}`;
  const limits = settings.map(
    ([name, value], at) =>
      `case when ${isDirect} then set_config('${name}', '${value}', false) end as setting${at}`,
  );
  const { rows } = await client.query<Row>(
    `select ${isDirect} as direct, current_setting('server_version_num') as version,
      pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on' as standby,
      ${limits.join(", ")}`,
  );
  const [{ direct, version, standby } = {} as Row] = rows;
  if (Number(version) < oldestVersion) {
    throw new MicroError(
      "failed_precondition",
      `cannot use PostgreSQL at ${place}: its version is ${version}, and 13 is the oldest that is supported`,
      { outcome: "not-executed" },
    );
  }
  if (standby === "t") {
    throw new MicroError(
      "unavailable",
      `cannot use PostgreSQL at ${place}: it accepts no writes; give the addresses of all servers`,
      { outcome: "not-executed" },
    );
  }
  return direct !== "t";
}
