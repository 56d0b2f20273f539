import { type BackendState, BackendStatus, type StateListener } from "../base/backend-state.ts";
import { Closable } from "../base/closable.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "./config.ts";

/** A source that does not change while the process runs. */
export class StaticSource extends Closable implements ConfigSource {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "process",
    watch: false,
    consistency: "table",
  };
  readonly #read: () => ConfigTable;
  readonly #status = new BackendStatus();

  constructor(name: string, read: () => ConfigTable) {
    super();
    this.name = name;
    this.#read = read;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async load(): Promise<ConfigTable> {
    return this.#read();
  }

  protected override async closeOnce(): Promise<void> {}
}
