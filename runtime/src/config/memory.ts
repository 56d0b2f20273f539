import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { MicroError } from "../error.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "./config.ts";
import { Latest } from "./latest.ts";
import { checkTable } from "./table.ts";

/** A source whose values the program sets: defaults, or a test's. */
export interface MemoryConfigSource extends ConfigSource {
  /**
   * Replaces all values.
   * @throws MicroError `invalid_argument` for values that are no configuration; then nothing has changed.
   */
  set(values: ConfigTable): void;
}

/**
 * Configuration out of a table of the program's own.
 * @param name tells it apart from others in `sourceOf` and in errors. Default `memory`.
 * @throws MicroError `invalid_argument` as {@link MemoryConfigSource.set} does.
 */
export function memorySource(initial: ConfigTable = {}, name = "memory"): MemoryConfigSource {
  return new MemorySource(initial, name);
}

class MemorySource implements MemoryConfigSource {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "process",
    watch: true,
    consistency: "table",
  };
  readonly #status = new BackendStatus();
  readonly #changes = new Latest<ConfigTable>();
  #values: ConfigTable;
  #closed = false;

  constructor(initial: ConfigTable, name: string) {
    this.name = name;
    this.#values = checkTable(initial, name);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  set(values: ConfigTable): void {
    if (this.#closed) {
      throw new MicroError("unavailable", `cannot set ${this.name}: the config source is closed`);
    }
    this.#values = checkTable(values, this.name);
    this.#changes.publish(this.#values);
  }

  async load(): Promise<ConfigTable> {
    return this.#values;
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ConfigTable> {
    return this.#changes.subscribe({ signal: options.signal });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#changes.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
