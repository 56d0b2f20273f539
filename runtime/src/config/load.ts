import { setTimeout as sleep } from "node:timers/promises";
import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { createLogger, type Logger } from "../logger.ts";
import type {
  Config,
  ConfigGuarantees,
  ConfigReader,
  ConfigSnapshot,
  ConfigSource,
  ConfigTable,
} from "./config.ts";
import { guaranteesOf } from "./guarantees.ts";
import { guardLogger } from "./guarded-logger.ts";
import { LastKnownGood } from "./last-known-good.ts";
import { Latest } from "./latest.ts";
import { type Merged, merge } from "./merge.ts";
import { checkTable, equalValues, parsePath, valueAt } from "./table.ts";
import { type ConfigView, createView } from "./view.ts";

/** What {@link loadConfig} does beside merging. */
export interface LoadConfigOptions {
  /**
   * Throws when a configuration must not come into force: at the start, loading fails with it; later, the last
   * good values stay. It must not wait for anything.
   */
  readonly validate?: (candidate: ConfigView) => void;
  /** Told of every source that is lost, found again or wrong. Default: warnings to standard error. */
  readonly logger?: Logger;
  /**
   * A file that keeps the last good values of all sources that can change, secrets among them, readable by its
   * owner only. With it a start succeeds although such a source cannot be read, and the snapshot names it in
   * `stale`.
   */
  readonly lastKnownGood?: string;
  /** How long one source may take to be loaded, in milliseconds. Default 10 000. */
  readonly loadTimeoutMs?: number;
  /** Gives up loading. */
  readonly signal?: AbortSignal;
}

/**
 * Configuration out of sources, a later one winning over an earlier: defaults first, then files, the
 * environment, flags. Changes of sources are taken over until it is closed, and closing it closes the sources.
 *
 * @throws MicroError what a source that cannot be loaded throws, or the reason of `validate` as
 * `invalid_argument`; then all sources are closed.
 */
export async function loadConfig(
  sources: readonly ConfigSource[],
  options: LoadConfigOptions = {},
): Promise<Config> {
  const config = new LoadedConfig(sources, options);
  try {
    await config.start();
    return config;
  } catch (error) {
    await config.close();
    throw error;
  }
}

/** A source with what it last said. */
interface Followed {
  readonly source: ConfigSource;
  /** The last good table; undefined until there is one. */
  latest: ConfigTable | undefined;
  /** The table in force. */
  accepted: ConfigTable | undefined;
  problem: MicroError | undefined;
}

/** Time before a watch that ended by itself is begun again, in milliseconds. */
const rewatchMs = 1000;

class LoadedConfig implements Config {
  readonly name: string = "config";
  readonly guarantees: ConfigGuarantees;
  readonly #options: LoadConfigOptions;
  readonly #logger: Logger;
  readonly #sources: readonly Followed[];
  readonly #lastKnownGood: LastKnownGood | undefined;
  readonly #status = new BackendStatus();
  readonly #changes = new Latest<ConfigSnapshot>();
  readonly #closing = new AbortController();
  readonly #unsubscribe: (() => void)[] = [];
  #view: ConfigView = createView(
    { version: 0, values: Object.freeze({}), stale: [] },
    { values: {}, sources: new Map() },
  );
  #merged: Merged = { values: {}, sources: new Map() };
  #invalid: MicroError | undefined;
  #lastProblem: string | undefined;
  #following: Promise<void>[] = [];
  #saving: Promise<void> = Promise.resolve();
  #started = false;
  #closed: Promise<void> | undefined;

  constructor(sources: readonly ConfigSource[], options: LoadConfigOptions) {
    this.#options = options;
    this.guarantees = guaranteesOf(sources, options.lastKnownGood !== undefined);
    this.#logger = guardLogger(options.logger ?? createLogger({ level: "warn" }));
    this.#sources = sources.map((source) => ({
      source,
      latest: undefined,
      accepted: undefined,
      problem: undefined,
    }));
    const { lastKnownGood } = options;
    if (lastKnownGood !== undefined) this.#lastKnownGood = new LastKnownGood(lastKnownGood);
  }

  get snapshot(): ConfigSnapshot {
    return this.#view.snapshot;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  get<T>(path: string, reader: ConfigReader<T>, fallback?: T): T {
    return this.#view.get(path, reader, fallback);
  }

  has(path: string): boolean {
    return this.#view.has(path);
  }

  sourceOf(path: string): string | undefined {
    return this.#view.sourceOf(path);
  }

  watch(
    path?: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<ConfigSnapshot> {
    const names = path === undefined ? [] : parsePath(path);
    let last = valueAt(this.snapshot.values, names);
    const accepts = ({ values }: ConfigSnapshot) => {
      const value = valueAt(values, names);
      const changed = !equalValues(last, value);
      last = value;
      return changed;
    };
    return this.#changes.subscribe({ signal: options.signal, accepts });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async start(): Promise<void> {
    this.#requireDistinctNames();
    // Watched first and loaded then, so that no change falls between.
    const watches = this.#sources.map((followed) => this.#beginWatch(followed));
    await Promise.all(this.#sources.map((followed) => this.#load(followed)));
    if (this.#sources.some(({ latest }) => latest === undefined)) await this.#standIn();
    this.#started = true;
    this.#apply();
    if (this.#invalid !== undefined) throw this.#invalid;
    for (const [i, followed] of this.#sources.entries()) {
      this.#unsubscribe.push(
        followed.source.onStateChange((state, reason) => this.#noteState(followed, state, reason)),
      );
      const watch = watches[i];
      if (watch !== undefined) this.#following.push(this.#follow(followed, watch));
    }
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#changes.close();
    await Promise.all(this.#sources.map(({ source }) => source.close()));
    await Promise.all(this.#following);
    await this.#saving;
  }

  #requireDistinctNames(): void {
    const names = new Set<string>();
    for (const { source } of this.#sources) {
      if (names.has(source.name)) {
        throw new MicroError(
          "invalid_argument",
          `two config sources are called ${source.name}; give one of them another name`,
        );
      }
      names.add(source.name);
    }
  }

  async #load(followed: Followed): Promise<void> {
    const { source } = followed;
    const { loadTimeoutMs = 10_000, signal } = this.#options;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), loadTimeoutMs);
    const signals = [timeout.signal, this.#closing.signal];
    const limit = AbortSignal.any(signal === undefined ? signals : [...signals, signal]);
    try {
      const loaded = await Promise.race([source.load({ signal: limit }), aborted(limit)]);
      followed.latest = checkTable(loaded, source.name);
      followed.problem = undefined;
    } catch (error) {
      if (signal?.aborted === true) throw asMicroError(signal.reason, "canceled");
      followed.problem = timeout.signal.aborted
        ? new MicroError(
            "unavailable",
            `the config source ${source.name} was not loaded within ${loadTimeoutMs} ms`,
            { cause: error },
          )
        : asMicroError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Takes last known good values for sources that could not be loaded, or throws why they could not. */
  async #standIn(): Promise<void> {
    const kept = await this.#lastKnownGood?.load();
    for (const followed of this.#sources) {
      if (followed.latest !== undefined) continue;
      const { source, problem } = followed;
      followed.latest = kept?.get(source.name);
      if (followed.latest === undefined) throw problem;
      this.#logger.error(
        { source: source.name, error: problem },
        "a config source cannot be read, and its last known good values are in force",
      );
    }
  }

  #beginWatch({ source }: Followed): AsyncIterable<ConfigTable> | undefined {
    return source.watch?.({ signal: this.#closing.signal });
  }

  /** Takes over what a source says, until the configuration is closed; never rejects. */
  async #follow(followed: Followed, first: AsyncIterable<ConfigTable>): Promise<void> {
    let watch: AsyncIterable<ConfigTable> | undefined = first;
    while (watch !== undefined && !this.#closing.signal.aborted) {
      try {
        for await (const values of watch) this.#take(followed, values);
      } catch (error) {
        followed.problem = asMicroError(error);
        this.#noteProblem(followed);
        this.#apply();
      }
      const { signal } = this.#closing;
      await sleep(rewatchMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      watch = this.#beginWatch(followed);
      // What changed while nobody watched is still to be learnt.
      await this.#load(followed);
      this.#apply();
    }
  }

  #take(followed: Followed, values: ConfigTable): void {
    try {
      followed.latest = checkTable(values, followed.source.name);
      followed.problem = undefined;
    } catch (error) {
      followed.problem = asMicroError(error);
      this.#noteProblem(followed);
    }
    this.#apply();
  }

  #noteState(followed: Followed, state: BackendState, reason: MicroError | undefined): void {
    followed.problem =
      state === "healthy"
        ? undefined
        : (reason ?? new MicroError("unavailable", `the config source is ${state}`));
    if (followed.problem !== undefined) this.#noteProblem(followed);
    else this.#logger.info({ source: followed.source.name }, "a config source is healthy again");
    this.#apply();
  }

  #noteProblem({ source, problem }: Followed): void {
    this.#logger.error(
      { source: source.name, error: problem },
      "a config source is not as it should be, and its last good values stay in force",
    );
  }

  /** Puts into force what the sources say, where it is valid. */
  #apply(): void {
    if (!this.#started || this.#closing.signal.aborted) return;
    this.#invalid = undefined;
    if (!this.#tryTables(({ latest }) => latest)) {
      // One wrong source must not keep back the others.
      for (const one of this.#sources) {
        if (one.latest === one.accepted || one.accepted === undefined) continue;
        this.#tryTables((other) => (other === one ? other.latest : other.accepted));
      }
    }
    this.#refreshState();
  }

  /** Puts one choice of tables into force, and tells whether it was valid. */
  #tryTables(choose: (followed: Followed) => ConfigTable | undefined): boolean {
    const tables = this.#sources.map(choose);
    const merged = merge(
      this.#sources.map(({ source }, i) => ({ source: source.name, values: tables[i] ?? {} })),
    );
    const { version } = this.snapshot;
    const changed = version === 0 || !equalValues(merged.values, this.snapshot.values);
    const snapshot = Object.freeze({
      version: changed ? version + 1 : version,
      values: changed ? merged.values : this.snapshot.values,
      stale: this.#stale(),
    });
    const view = createView(snapshot, merged);
    try {
      this.#options.validate?.(view);
    } catch (error) {
      const reason = asMicroError(error, "invalid_argument");
      this.#invalid ??= new MicroError(
        reason.code,
        `the configuration is not valid: ${reason.message}`,
        { cause: error },
      );
      return false;
    }
    for (const [i, followed] of this.#sources.entries()) followed.accepted = tables[i];
    this.#view = view;
    this.#merged = merged;
    if (changed) {
      this.#changes.publish(snapshot);
      this.#keep();
    }
    return true;
  }

  #refreshState(): void {
    const problem =
      this.#invalid ?? this.#sources.find((followed) => followed.problem !== undefined)?.problem;
    const stale = this.#stale();
    if (!equalValues(stale, this.snapshot.stale)) {
      this.#view = createView(Object.freeze({ ...this.snapshot, stale }), this.#merged);
    }
    if (problem === undefined) {
      this.#lastProblem = undefined;
      this.#status.set("healthy");
      return;
    }
    if (this.#status.state === "healthy") this.#status.set("degraded", problem);
    else if (problem.message !== this.#lastProblem) this.#status.explain(problem);
    if (problem === this.#invalid && problem.message !== this.#lastProblem) {
      this.#logger.error({ error: problem }, "a change of configuration was not put into force");
    }
    this.#lastProblem = problem.message;
  }

  #stale(): readonly string[] {
    return Object.freeze(
      this.#sources.filter(({ problem }) => problem !== undefined).map(({ source }) => source.name),
    );
  }

  #keep(): void {
    if (this.#lastKnownGood === undefined) return;
    const kept = new Map<string, ConfigTable>();
    for (const { source, accepted } of this.#sources) {
      if (source.watch !== undefined && accepted !== undefined) kept.set(source.name, accepted);
    }
    this.#saving = this.#lastKnownGood.save(kept).catch((error: unknown) => {
      this.#logger.warn({ error }, "the last known good configuration was not kept");
    });
  }
}

/** Rejects when a signal fires; for sources that do not heed it themselves. */
function aborted(signal: AbortSignal): Promise<never> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
