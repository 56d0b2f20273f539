import { throwIfAborted } from "../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../base/backend-state.ts";
import { Closable } from "../base/closable.ts";
import { asMicroError, MicroError, messageOf } from "../base/error.ts";
import { createLogger, type Logger } from "../base/logger.ts";
import { callback, checkOptions, durationMs, logger, signal, text } from "../base/option-check.ts";
import { PartLogger } from "../base/part-logger.ts";
import { settleAll } from "../base/settle-all.ts";
import type {
  Config,
  ConfigGuarantees,
  ConfigReader,
  ConfigSnapshot,
  ConfigSource,
  ConfigTable,
} from "./config.ts";
import { equalValues, parsePath, valueAt } from "./config-table.ts";
import { type ConfigView, createView } from "./config-view.ts";
import { FollowedSource } from "./followed-source.ts";
import { guaranteesOf } from "./guarantees.ts";
import { guardLogger } from "./guarded-logger.ts";
import { LastKnownGood } from "./last-known-good.ts";
import { LatestValue } from "./latest-value.ts";
import { type Merged, merge } from "./merge.ts";

/** Options of {@link loadConfig}. */
export interface LoadConfigOptions {
  /**
   * Throws to reject a configuration: at the start, loading fails with the error; later, the last
   * good values stay. It must be synchronous.
   */
  readonly validate?: (candidate: ConfigView) => void;
  /**
   * Receives a report of every source that is lost, recovered or invalid. Default: the service's
   * logger; before there is one, warnings go to standard error.
   */
  readonly logger?: Logger;
  /**
   * A file that keeps the last good values of all sources that can change, including secrets,
   * readable only by its owner. With it a start succeeds although such a source cannot be read, and
   * the snapshot lists the source in `stale`.
   */
  readonly lastKnownGood?: string;
  /** Maximum time to load one source, in milliseconds. Default 10 000. */
  readonly loadTimeoutMs?: number;
  /** Cancels the first load. It has no effect on a loaded configuration. */
  readonly signal?: AbortSignal;
}

/**
 * Loads configuration from sources, a later one overriding an earlier one: defaults first, then
 * files, the environment, flags. Changes of sources are applied until the configuration is closed;
 * closing it closes the sources.
 *
 * @throws MicroError with the error of a source that cannot be loaded, or the reason of `validate`
 * as `invalid_argument`; all sources are then closed.
 *
 * @example
 * ```ts
 * import { envSource, fileSource, loadConfig, read } from "@micro-es/runtime";
 *
 * const config = await loadConfig([fileSource("app.yaml"), envSource({ prefix: "APP_" })]);
 * const port = config.get("http.port", read.integer);
 * ```
 */
export async function loadConfig(
  sources: readonly ConfigSource[],
  options: LoadConfigOptions = {},
): Promise<Config> {
  checkOptions("loadConfig", options, {
    validate: callback,
    logger,
    lastKnownGood: text,
    loadTimeoutMs: durationMs(1),
    signal,
  });
  const config = new LoadedConfig(sources, options);
  try {
    await config.open();
    return config;
  } catch (error) {
    await config.close();
    throw error;
  }
}

/** Creates the configuration that {@link loadConfig} returns; its `open` loads it. */
export function configOf(sources: readonly ConfigSource[], options: LoadConfigOptions): Config {
  return new LoadedConfig(sources, options);
}

class LoadedConfig extends Closable implements Config {
  readonly name: string = "config";
  readonly guarantees: ConfigGuarantees;
  readonly #options: LoadConfigOptions;
  readonly #partLogger: PartLogger;
  readonly #logger: Logger;
  readonly #sources: readonly FollowedSource[];
  readonly #lastKnownGood: LastKnownGood | undefined;
  readonly #status = new BackendStatus();
  readonly #changes = new LatestValue<ConfigSnapshot>();
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
  #opening: Promise<void> | undefined;
  #started = false;

  constructor(sources: readonly ConfigSource[], options: LoadConfigOptions) {
    super();
    this.#options = options;
    this.guarantees = guaranteesOf(sources, options.lastKnownGood !== undefined);
    this.#partLogger = new PartLogger(options.logger, createLogger({ level: "warn" }));
    this.#logger = guardLogger(this.#partLogger);
    const owner = {
      logger: this.#logger,
      loadTimeoutMs: options.loadTimeoutMs ?? 10_000,
      closing: this.#closing.signal,
      changed: () => this.#apply(),
    };
    this.#sources = sources.map((source) => new FollowedSource(source, owner));
    const { lastKnownGood } = options;
    if (lastKnownGood !== undefined) this.#lastKnownGood = new LastKnownGood(lastKnownGood);
  }

  useLogger(logger: Logger): void {
    this.#partLogger.use(logger);
  }

  get snapshot(): ConfigSnapshot {
    return this.#loaded.snapshot;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  get<T>(path: string, reader: ConfigReader<T>, fallback?: T): T {
    return this.#loaded.get(path, reader, fallback);
  }

  has(path: string): boolean {
    return this.#loaded.has(path);
  }

  sourceOf(path: string): string | undefined {
    return this.#loaded.sourceOf(path);
  }

  watch(
    path?: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<ConfigSnapshot> {
    checkOptions("watch the configuration", options, { signal });
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

  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** @throws MicroError `failed_precondition` before the sources are loaded. */
  get #loaded(): ConfigView {
    if (this.#started) return this.#view;
    throw new MicroError(
      "failed_precondition",
      "the configuration is not loaded yet; a service loads it when it starts, before onStart",
    );
  }

  async #open(): Promise<void> {
    this.#requireDistinctNames();
    // Watches begin before loading, so that no change is missed in between.
    const watches = this.#sources.map((followed) => followed.beginWatch());
    const { signal } = this.#options;
    await Promise.all(this.#sources.map((followed) => followed.load(signal)));
    if (this.#sources.some(({ latest }) => latest === undefined)) await this.#standIn();
    throwIfAborted(signal);
    throwIfAborted(this.#closing.signal);
    this.#started = true;
    this.#apply();
    if (this.#invalid !== undefined) throw this.#invalid;
    for (const [i, followed] of this.#sources.entries()) {
      this.#unsubscribe.push(
        followed.source.onStateChange((state, reason) => followed.noteState(state, reason)),
      );
      const watch = watches[i];
      if (watch !== undefined) this.#following.push(followed.follow(watch));
    }
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#changes.close();
    const sources = this.#sources.map(({ source }) => source);
    const failures = await settleAll(sources, (source) => source.close());
    await Promise.all(this.#following);
    await this.#saving;
    const [first] = failures;
    if (first === undefined) return;
    const each = failures.map(({ name, reason }) => `${name}: ${messageOf(reason)}`);
    throw new MicroError("internal", `config sources did not close: ${each.join("; ")}`, {
      cause: first.reason,
    });
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

  /**
   * Uses the last known good values of sources that could not be loaded, or throws the reason why
   * they could not.
   */
  async #standIn(): Promise<void> {
    const kept = await this.#lastKnownGood?.load();
    for (const followed of this.#sources) {
      if (followed.latest !== undefined) continue;
      const { source, problem } = followed;
      followed.latest = kept?.get(source.name);
      if (followed.latest === undefined) throw problem;
      this.#logger.error(
        { source: source.name, error: problem },
        "a config source cannot be read; its last known good values are used",
      );
    }
  }

  /** Applies the sources' values, if they are valid. */
  #apply(): void {
    if (!this.#started || this.#closing.signal.aborted) return;
    this.#invalid = undefined;
    if (!this.#tryTables(({ latest }) => latest)) {
      // One invalid source must not hold back the others.
      for (const one of this.#sources) {
        if (one.latest === one.accepted || one.accepted === undefined) continue;
        this.#tryTables((other) => (other === one ? other.latest : other.accepted));
      }
    }
    this.#refreshState();
  }

  /** Applies one selection of tables, and returns whether it was valid. */
  #tryTables(choose: (followed: FollowedSource) => ConfigTable | undefined): boolean {
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
      this.#logger.error({ error: problem }, "a configuration change was not applied");
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
