import type { Backend } from "../base/backend-state.ts";

/** A value as it appears in a source: a scalar, a list, or a table of values by name. */
export type ConfigValue =
  | string
  | number
  | boolean
  | null
  | readonly ConfigValue[]
  | { readonly [name: string]: ConfigValue };

/** The root of a source's values. */
export type ConfigTable = { readonly [name: string]: ConfigValue };

/** What a source guarantees. */
export interface ConfigSourceGuarantees {
  /**
   * Who sees a value that is set in one place: this process, this host, or everything that shares
   * the backend.
   */
  readonly reach: "process" | "host" | "backend";
  /** Whether changes are applied while the process runs. */
  readonly watch: boolean;
  /**
   * `table`: values that are changed together become visible together. `value`: one after another.
   */
  readonly consistency: "value" | "table";
}

/**
 * What a configuration guarantees: the widest reach of its sources, the weakest consistency, and a
 * watch if one of them has it.
 */
export interface ConfigGuarantees extends ConfigSourceGuarantees {
  /**
   * How long last good values replace those of an unreadable source: while the process runs, or
   * across a restart.
   */
  readonly lastKnownGood: "process" | "restart";
}

/**
 * One place that configuration comes from. Losing it, or finding invalid values in it, does not
 * change the values in force: its last good values stay.
 */
export interface ConfigSource extends Backend {
  readonly guarantees: ConfigSourceGuarantees;
  /**
   * Loads the current values.
   * @throws MicroError `invalid_argument` with place and reason for a syntax error; `not_found`
   * when a required source does not exist; `unavailable` when it cannot be reached.
   */
  load(options?: { readonly signal?: AbortSignal }): Promise<ConfigTable>;
  /**
   * Yields the values after each change, beginning with the next one; intermediate states may be
   * skipped, the final one may not. Absent if the source never changes. Errors are a state of the
   * source and do not end the iteration.
   */
  watch?(options?: { readonly signal?: AbortSignal }): AsyncIterable<ConfigTable>;
}

/** One consistent, immutable state of the whole configuration. */
export interface ConfigSnapshot {
  /** Increases by one with each change, from 1. */
  readonly version: number;
  readonly values: ConfigTable;
  /** Names of the sources that could not be read and are replaced by their last good values. */
  readonly stale: readonly string[];
}

/**
 * Converts a value into a type, or throws an error that says what is wrong. `path` is for the
 * message.
 */
export type ConfigReader<T> = (value: ConfigValue | undefined, path: string) => T;

/**
 * Configuration from several sources. A later source overrides an earlier one, leaf by leaf: tables
 * are merged; everything else, including lists, is replaced as a whole.
 *
 * Paths name tables from the outside in, with dots: `database.pool.size`.
 */
export interface Config extends Backend {
  readonly guarantees: ConfigGuarantees;
  readonly snapshot: ConfigSnapshot;
  /**
   * Loads the sources of a configuration that is not loaded yet; a service calls it when it starts.
   * Until then reading throws `failed_precondition`. Idempotent.
   */
  open?(): Promise<void>;
  /**
   * The value at a path, converted by one of the readers (`text`, `integer`, `duration` …).
   * @throws MicroError `invalid_argument` that names the path, the value's source and the expected
   * value; `not_found` when there is no value and no fallback.
   */
  get<T>(path: string, reader: ConfigReader<T>, fallback?: T): T;
  /** Whether there is a value at a path. */
  has(path: string): boolean;
  /**
   * Name of the source of the value in force at a path; undefined if there is no value, or a table.
   */
  sourceOf(path: string): string | undefined;
  /**
   * Yields the snapshot after each change of a value at or below a path, or of any value without a
   * path. A slow reader misses intermediate states but never the last one.
   */
  watch(path?: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<ConfigSnapshot>;
}
