import type { MicroError } from "./error.ts";

/**
 * How an implementation stands with what it is built on. `degraded`: it works from what it last knew, or
 * partly. `lost`: it cannot be reached, and is being reconnected to.
 */
export type BackendState = "healthy" | "degraded" | "lost";

/** Called when a backend's state, or the reason for it, changes; `reason` says why it is not healthy. */
export type StateListener = (state: BackendState, reason: MicroError | undefined) => void;

/**
 * What registries, brokers, stores, config sources and everything else that may lose its server have in
 * common. Losing it never throws out of a timer: it is a state, and an event.
 */
export interface Backend extends AsyncDisposable {
  /** Name of the implementation, such as `mdns`. */
  readonly name: string;
  readonly state: BackendState;
  /** Calls the listener at each change of state, until the returned function is called. */
  onStateChange(listener: StateListener): () => void;
  /** Ends everything that this backend opened. Idempotent; resolves when no timer or socket is left. */
  close(): Promise<void>;
}

/** Keeps a backend's state and tells its listeners; every implementation has one. */
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

  /** Tells the listeners another reason for the state that there is. */
  explain(reason: MicroError): void {
    this.#tell(reason);
  }

  onStateChange(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A listener that throws is the application's mistake; it must not stop what changed the state. */
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
