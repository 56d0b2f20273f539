import type { BackendState, StateListener } from "../base/backend-state.ts";
import { Closable } from "../base/closable.ts";
import type { Logger } from "../base/logger.ts";
import { checkOptions, logger, object } from "../base/option-check.ts";
import { drivers } from "../base/option-kinds.ts";
import { closeInOrder } from "../base/settle-all.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "../config/config.ts";
import { ChosenParts } from "./chosen-parts.ts";
import type { Driver } from "./driver.ts";
import type { EnvironmentValues } from "./environment.ts";

/** Options of {@link configSources}. */
export interface ConfigSourcesOptions {
  /** Backends that `MICRO_CONFIG` and `MICRO_BACKEND` may name, as in `ServiceOptions`. */
  readonly drivers?: readonly Driver[];
  readonly logger?: Logger;
  /** The environment variables. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/**
 * The sources named by `MICRO_CONFIG`, or that of `MICRO_BACKEND`, for a program that loads its
 * configuration itself: `await loadConfig([fileSource("defaults.yaml"), ...configSources()])`. The
 * connections behind them close with the last source.
 *
 * @throws MicroError as `createService` does.
 */
export function configSources(options: ConfigSourcesOptions = {}): readonly ConfigSource[] {
  checkOptions("configSources", options, { drivers, logger, environment: object });
  const parts = new ChosenParts(options);
  return parts.use(() => {
    const sources = parts.configSources();
    // A backend without configuration was opened to learn that.
    if (sources.length === 0) parts.closeUnused();
    const open = new Set(sources);
    return sources.map((source) => {
      const close = async () => {
        open.delete(source);
        const rest = open.size === 0 ? parts.made : [];
        await closeInOrder(() => source.close(), ...rest.map((part) => () => part.close()));
      };
      return new OwningSource(source, close);
    });
  });
}

/** A source that closes its connections along with itself. */
class OwningSource extends Closable implements ConfigSource {
  declare readonly watch?: NonNullable<ConfigSource["watch"]>;
  readonly #source: ConfigSource;
  readonly #close: () => Promise<void>;

  constructor(source: ConfigSource, close: () => Promise<void>) {
    super();
    this.#source = source;
    this.#close = close;
    if (source.watch !== undefined) this.watch = source.watch.bind(source);
  }

  get name(): string {
    return this.#source.name;
  }

  get guarantees(): ConfigSourceGuarantees {
    return this.#source.guarantees;
  }

  get state(): BackendState {
    return this.#source.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#source.onStateChange(listener);
  }

  load(options?: { readonly signal?: AbortSignal }): Promise<ConfigTable> {
    return this.#source.load(options);
  }

  protected override closeOnce(): Promise<void> {
    return this.#close();
  }
}
