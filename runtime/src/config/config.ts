import type { Backend } from "../backend.ts";

/** A value as it stands in a source: a scalar, a list, or a table of values by name. */
export type ConfigValue =
  | string
  | number
  | boolean
  | null
  | readonly ConfigValue[]
  | { readonly [name: string]: ConfigValue };

/** The root of a source's values. */
export type ConfigTable = { readonly [name: string]: ConfigValue };

/** What a source promises. */
export interface ConfigSourceGuarantees {
  /** Whom a value that is set in one place reaches: this process, this host, or all that share the backend. */
  readonly reach: "process" | "host" | "backend";
  /** Whether changes are taken over while the process runs. */
  readonly watch: boolean;
  /** `table`: values that are changed together are seen together. `value`: one after another. */
  readonly consistency: "value" | "table";
}

/** What a configuration promises: the widest reach of its sources, the weakest consistency, and a watch if one has it. */
export interface ConfigGuarantees extends ConfigSourceGuarantees {
  /**
   * How long last good values stand in for a source that cannot be read: while the process runs, or also over its
   * restart.
   */
  readonly lastKnownGood: "process" | "restart";
}

/**
 * One place that configuration comes from. Losing it, or finding nonsense in it, changes nothing of what is in
 * force: its last good values stay.
 */
export interface ConfigSource extends Backend {
  readonly guarantees: ConfigSourceGuarantees;
  /**
   * The values that are there now.
   * @throws MicroError `invalid_argument` with place and reason for a syntax error; `not_found` when a source
   * that must exist does not; `unavailable` when it cannot be reached.
   */
  load(options?: { readonly signal?: AbortSignal }): Promise<ConfigTable>;
  /**
   * The values after each change, beginning with the next one; intermediate states may be passed over, the
   * final one may not. Absent when the source never changes. Errors are a state of the source and do not end
   * the iteration.
   */
  watch?(options?: { readonly signal?: AbortSignal }): AsyncIterable<ConfigTable>;
}

/** One consistent state of the whole configuration; it never changes. */
export interface ConfigSnapshot {
  /** Grows by one with each change, from 1. */
  readonly version: number;
  readonly values: ConfigTable;
  /** Names of the sources whose last good values stand in for what could not be read. */
  readonly stale: readonly string[];
}

/** Reads a value into a type, or throws with what is wrong. `path` is for the message. */
export type ConfigReader<T> = (value: ConfigValue | undefined, path: string) => T;

/**
 * Configuration out of several sources. A later source wins over an earlier one, leaf by leaf: tables are
 * merged, everything else, lists included, is replaced as a whole.
 *
 * Paths name tables from the outside in, with dots: `database.pool.size`.
 */
export interface Config extends Backend {
  readonly guarantees: ConfigGuarantees;
  readonly snapshot: ConfigSnapshot;
  /**
   * The value at a path, read into a type by one of the readers (`text`, `integer`, `duration` …).
   * @throws MicroError `invalid_argument` that names the path, the value's source and what was expected;
   * `not_found` when there is no value and no fallback.
   */
  get<T>(path: string, reader: ConfigReader<T>, fallback?: T): T;
  /** Whether there is a value at a path. */
  has(path: string): boolean;
  /** Name of the source whose value is in force at a path; undefined when there is none, or a table. */
  sourceOf(path: string): string | undefined;
  /**
   * The snapshot after each change of a value at or below a path; of any value when there is no path. A slow
   * reader misses intermediate states and never the last one.
   */
  watch(path?: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<ConfigSnapshot>;
}
