import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "../config.ts";
import { checkTable } from "../config-table.ts";
import { LatestValue } from "../latest-value.ts";

/** A source whose values the program sets, for defaults or tests. */
export interface MemoryConfigSource extends ConfigSource {
  /**
   * Replaces all values.
   * @throws MicroError `invalid_argument` for values that configuration does not support; nothing
   * changes then.
   */
  set(values: ConfigTable): void;
}

/**
 * Configuration from a table in the program.
 * @param name distinguishes it from others in `sourceOf` and in errors. Default `memory`.
 * @throws MicroError `invalid_argument` as {@link MemoryConfigSource.set} does.
 *
 * @example
 * ```ts
 * import { loadConfig, memorySource } from "@micro-es/runtime";
 *
 * const config = await loadConfig([memorySource({ http: { port: 8080 } })]);
 * ```
 */
export function memorySource(initial: ConfigTable = {}, name = "memory"): MemoryConfigSource {
  return new MemorySource(initial, name);
}

class MemorySource extends Closable implements MemoryConfigSource {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "process",
    watch: true,
    consistency: "table",
  };
  readonly #status = new BackendStatus();
  readonly #changes = new LatestValue<ConfigTable>();
  #values: ConfigTable;

  constructor(initial: ConfigTable, name: string) {
    super();
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
    if (this.isClosing) {
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

  protected override async closeOnce(): Promise<void> {
    this.#changes.close();
  }
}
