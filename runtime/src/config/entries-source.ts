import { Buffer } from "node:buffer";
import { type BackendState, BackendStatus, type StateListener } from "../base/backend-state.ts";
import { Closable } from "../base/closable.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import { parseJson } from "../base/json-syntax.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "./config.ts";
import { checkTable, equalValues, isTable } from "./config-table.ts";
import { LatestValue } from "./latest-value.ts";
import { PacedWork } from "./paced-work.ts";

/** An entry of a backend that holds a value of the configuration. */
export interface ConfigEntry {
  /** Its key in the backend, for messages. */
  readonly key: string;
  /** The names that lead to the value; none for a table of all values. */
  readonly path: readonly string[];
  /** Undefined for an entry that was deleted. */
  readonly value: Uint8Array | undefined;
}

/** Receives what happens to the entries. */
export interface ConfigEntriesFollower {
  /** All entries, first of all and whenever changes may have been missed. */
  snapshot(entries: readonly ConfigEntry[]): void;
  change(entry: ConfigEntry): void;
  /** The entries cannot be followed now; it is retried. */
  failed(reason: MicroError): void;
}

/** A backend that keeps the configuration in entries by key. */
export interface ConfigEntries {
  /** The name of the source. */
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees;
  readonly onStateChange: (listener: StateListener) => () => void;
  /** @param signals end the read, with the error of their reason. */
  readAll(signals: readonly (AbortSignal | undefined)[]): Promise<readonly ConfigEntry[]>;
  /** Follows the entries until the returned function is called. */
  follow(follower: ConfigEntriesFollower): () => void;
  close(): Promise<void>;
}

/** The largest value of a key, in bytes, that is read. */
const maxValueBytes = 1024 * 1024;
const maxKeys = 10_000;

/**
 * A configuration in the entries of a backend, one for each value. A value that is JSON is parsed,
 * including tables; any other is text. While the entries cannot be read, or contain invalid values,
 * the last good values stay in force.
 */
export class EntriesSource extends Closable implements ConfigSource {
  readonly #entries: ConfigEntries;
  readonly #status = new BackendStatus();
  readonly #changes = new LatestValue<ConfigTable>();
  readonly #closing = new AbortController();
  /** Ends the watch that serves subscribers. */
  #stopFollowing: (() => void) | undefined;
  /** What the watch has received, by key; undefined before its first snapshot. */
  #followed: Map<string, ConfigEntry> | undefined;
  /**
   * Each change creates a new table of all keys, so changes in quick succession are published
   * together.
   */
  readonly #publishing: PacedWork = new PacedWork(() => this.#publish(true));
  #values: ConfigTable | undefined;
  /** Whether a load failed, so that watchers have not yet received the current values. */
  #untold = false;
  #problem: string | undefined;

  constructor(entries: ConfigEntries) {
    super();
    this.#entries = entries;
    entries.onStateChange((state, reason) => {
      if (state !== "healthy") this.#report(reason);
    });
  }

  get name(): string {
    return this.#entries.name;
  }

  get guarantees(): ConfigSourceGuarantees {
    return this.#entries.guarantees;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async load(options: { readonly signal?: AbortSignal } = {}): Promise<ConfigTable> {
    try {
      const entries = await this.#entries.readAll([options.signal, this.#closing.signal]);
      const values = this.#table(entries);
      this.#report(undefined);
      this.#loaded(values);
      return values;
    } catch (error) {
      this.#untold = true;
      if (!this.#closing.signal.aborted && options.signal?.aborted !== true) {
        this.#report(asMicroError(error));
      }
      throw error;
    }
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ConfigTable> {
    const subscription = this.#changes.subscribe({
      signal: options.signal,
      onEnd: () => {
        if (this.#changes.readers === 0) this.#unfollow();
      },
    });
    if (this.#changes.readers > 0) this.#stopFollowing ??= this.#follow();
    return subscription;
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(
      new MicroError("unavailable", `cannot load ${this.name}: the config source is closed`, {
        outcome: "not-executed",
      }),
    );
    this.#changes.close();
    this.#unfollow();
    await this.#entries.close();
  }

  /** Values published as a change differ from the loaded ones, whichever of the two came first. */
  #loaded(values: ConfigTable): void {
    if (this.#followed === undefined) {
      this.#values = values;
      return;
    }
    if (this.#values !== undefined && equalValues(values, this.#values)) return;
    this.#untold = true;
    this.#publishing.request();
  }

  #unfollow(): void {
    this.#stopFollowing?.();
    this.#stopFollowing = undefined;
    this.#followed = undefined;
    this.#publishing.cancel();
  }

  #follow(): () => void {
    return this.#entries.follow({
      snapshot: (entries) => {
        // Without anything loaded or received before it, the first snapshot changes nothing.
        const tell = this.#values !== undefined || this.#followed !== undefined;
        this.#followed = new Map(entries.map((entry) => [entry.key, entry]));
        this.#publishing.cancel();
        this.#publish(tell);
      },
      change: (entry) => {
        if (entry.value === undefined) this.#followed?.delete(entry.key);
        else this.#followed?.set(entry.key, entry);
        this.#publishing.request();
      },
      failed: (error) => this.#report(error),
    });
  }

  #publish(tell: boolean): void {
    if (this.#followed === undefined) return;
    try {
      const values = this.#table([...this.#followed.values()]);
      const changed = this.#values === undefined || !equalValues(values, this.#values);
      this.#values = values;
      this.#report(undefined);
      if (!this.#untold && !(tell && changed)) return;
      this.#untold = false;
      this.#changes.publish(values);
    } catch (error) {
      this.#report(asMicroError(error));
    }
  }

  /**
   * @throws MicroError `invalid_argument` when keys contradict each other or a value is not valid
   * configuration.
   */
  #table(entries: readonly ConfigEntry[]): ConfigTable {
    const live = entries.filter(({ value }) => value !== undefined);
    if (live.length > maxKeys) {
      throw this.#nonsense("", `it has ${live.length} keys, and ${maxKeys} are allowed`);
    }
    const root: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    // Shorter paths first, so that a table is followed by the keys below it.
    const sorted = [...live].sort(
      (a, b) => a.path.length - b.path.length || (a.key < b.key ? -1 : 1),
    );
    for (const { key, path, value = new Uint8Array() } of sorted) {
      if (value.length > maxValueBytes) throw this.#nonsense(key, "it is too large");
      this.#put(root, key, path, this.#parse(key, value));
    }
    return checkTable(root, this.name);
  }

  #put(root: Record<string, unknown>, key: string, path: readonly string[], value: unknown): void {
    const last = path.at(-1);
    if (last === undefined) {
      if (!isTable(value)) throw this.#nonsense(key, "it is not a table");
      Object.assign(root, value);
      return;
    }
    let table = root;
    for (const name of path.slice(0, -1)) {
      table[name] ??= Object.create(null);
      const inner = table[name];
      if (!isTable(inner)) throw this.#nonsense(key, `${name} is a value, not a table`);
      table = inner as Record<string, unknown>;
    }
    if (last in table) throw this.#nonsense(key, "the table of another key contains it as well");
    table[last] = value;
  }

  /** The value as JSON if it is valid JSON, otherwise as text. */
  #parse(key: string, value: Uint8Array): unknown {
    const text = Buffer.from(value).toString();
    const result = parseJson(text);
    if ("value" in result) return result.value;
    if (result.problem.cause === undefined) throw this.#nonsense(key, result.problem.reason);
    return text;
  }

  #nonsense(key: string, reason: string): MicroError {
    const at = key === "" ? "" : ` at ${key.slice(0, 200)}`;
    return new MicroError("invalid_argument", `${this.name}${at}: ${reason}`);
  }

  #report(problem: MicroError | undefined): void {
    if (problem?.message === this.#problem) return;
    this.#problem = problem?.message;
    if (problem === undefined) this.#status.set("healthy");
    else if (this.#status.state === "healthy") this.#status.set("degraded", problem);
    else this.#status.explain(problem);
  }
}
