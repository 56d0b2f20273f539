import { type BackendState, BackendStatus, type StateListener } from "./backend.ts";
import { MicroError } from "./error.ts";
import type {
  DeleteOptions,
  ListOptions,
  Store,
  StoreEvent,
  StoreGuarantees,
  StoreRecord,
  StoreWatchOptions,
  WriteOptions,
} from "./store/store.ts";

/**
 * A store that can be passed on before it is open. It opens at its first use, or when {@link DeferredStore.open}
 * is called; an opening that failed is tried again by the next use.
 */
export class DeferredStore implements Store {
  readonly name: string;
  readonly #open: () => Promise<Store>;
  readonly #status = new BackendStatus();
  readonly #promised: StoreGuarantees;
  #opening: Promise<Store> | undefined;
  #store: Store | undefined;
  #closed = false;

  constructor(name: string, guarantees: StoreGuarantees, open: () => Promise<Store>) {
    this.name = name;
    this.#promised = guarantees;
    this.#open = open;
  }

  get guarantees(): StoreGuarantees {
    return this.#store?.guarantees ?? this.#promised;
  }

  get state(): BackendState {
    return this.#store?.state ?? this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  /** Opens the store, once. @throws MicroError as the store's own opening. */
  open(): Promise<Store> {
    if (this.#closed && this.#store === undefined) return Promise.reject(closed(this.name));
    this.#opening ??= this.#begin();
    return this.#opening;
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    return (await this.open()).read(key);
  }

  async write(key: string, value: Uint8Array, options?: WriteOptions): Promise<bigint> {
    return (await this.open()).write(key, value, options);
  }

  async delete(key: string, options?: DeleteOptions): Promise<boolean> {
    return (await this.open()).delete(key, options);
  }

  async *list(options?: ListOptions): AsyncIterable<StoreRecord> {
    yield* (await this.open()).list(options);
  }

  async *watch(options?: StoreWatchOptions): AsyncIterable<StoreEvent> {
    yield* (await this.open()).watch(options);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const store = await this.#opening?.catch(() => undefined);
    await store?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #begin(): Promise<Store> {
    try {
      this.#store = await this.#open();
      this.#store.onStateChange((state, reason) => this.#status.set(state, reason));
      return this.#store;
    } catch (reason) {
      this.#opening = undefined;
      throw reason;
    }
  }
}

function closed(name: string): MicroError {
  return new MicroError("unavailable", `the ${name} store is closed; nothing can be kept in it`, {
    outcome: "not-executed",
  });
}
