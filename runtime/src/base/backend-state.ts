import type { MicroError } from "./error.ts";
import type { LoggingPart } from "./part-logger.ts";

/**
 * The state of an implementation's connection to its backend. `degraded`: it works partly, or from
 * what it last knew. `lost`: the backend is unreachable, and the implementation is reconnecting.
 */
export type BackendState = "healthy" | "degraded" | "lost";

/**
 * Called when a backend's state, or the reason for it, changes; `reason` explains why it is not
 * healthy.
 */
export type StateListener = (state: BackendState, reason: MicroError | undefined) => void;

/**
 * The common interface of registries, brokers, stores, config sources and everything else that may
 * lose its server. A lost server never throws out of a timer: it is a state and an event.
 */
export interface Backend extends AsyncDisposable, LoggingPart {
  /** Name of the implementation, such as `mdns`. */
  readonly name: string;
  readonly state: BackendState;
  /** Calls the listener at each change of state, until the returned function is called. */
  onStateChange(listener: StateListener): () => void;
  /**
   * Releases everything that this backend opened. Idempotent; resolves when no timer or socket is
   * left.
   */
  close(): Promise<void>;
}

/** Holds a backend's state and notifies its listeners; every implementation has one. */
export class BackendStatus {
  #state: BackendState = "healthy";
  readonly #listeners = new Set<StateListener>();

  get state(): BackendState {
    return this.#state;
  }

  set(state: BackendState, reason?: MicroError): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#tell(reason);
  }

  /** Reports a new reason for the current state to the listeners. */
  explain(reason: MicroError): void {
    this.#tell(reason);
  }

  onStateChange(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A listener that throws is the application's mistake; it must not interrupt the change of state.
   */
  #tell(reason: MicroError | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(this.#state, reason);
      } catch (error) {
        process.emitWarning(`a state listener threw: ${error}`, "MicroWarning");
      }
    }
  }
}
