import { pauseUntilAborted } from "../base/abort.ts";
import { type Backoff, backoffMs } from "../base/backoff.ts";
import { Changes } from "../base/changes.ts";
import { Closable } from "../base/closable.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { Store, StoreEvent, StoreRecord } from "../store/store.ts";

/** Receives the records that a {@link FollowedRecords} follows. Its functions must not throw. */
export interface RecordFollower {
  /** All records, or a change of one. */
  changed(event: StoreEvent): void;
  /** Why changes may be missed at the moment; undefined once they are followed again. */
  failing(reason: MicroError | undefined): void;
}

/** How often a store without a watch is read, in milliseconds. */
const defaultPollMs = 10_000;

const retry: Backoff = { firstMs: 100, factor: 2, mostMs: 10_000, jitter: 0.2 };

/**
 * Follows the records of a store below a prefix, by a watch or, if the store has none, by reading
 * them every ten seconds. Failures are reported and retried until {@link close}, which leaves the
 * store open.
 */
export class FollowedRecords extends Closable {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #follower: RecordFollower;
  readonly #pollMs: number;
  readonly #closing = new AbortController();
  readonly #loads = new Changes();
  #loaded = false;
  #following: Promise<void> | undefined;
  #stopListening: (() => void) | undefined;
  /** Why the records could not be read, and how often in a row. */
  #readFailure: MicroError | undefined;
  #failures = 0;
  #stateReason: MicroError | undefined;

  constructor(
    store: Store,
    prefix: string,
    follower: RecordFollower,
    pollMs: number = defaultPollMs,
  ) {
    super();
    this.#store = store;
    this.#prefix = prefix;
    this.#follower = follower;
    this.#pollMs = pollMs;
  }

  /** Whether the records were read at least once. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /**
   * Starts to follow, and resolves when the records were read, or after this time if that takes
   * longer: see {@link loaded}.
   */
  async open(waitMs: number): Promise<void> {
    if (this.isClosing) throw this.#closed();
    if (this.#following === undefined) {
      this.#stopListening = this.#store.onStateChange((state, reason) => {
        this.#stateReason =
          state === "healthy"
            ? undefined
            : (reason ??
              new MicroError("unavailable", `the store ${this.#store.name} is ${state}`));
        this.#report();
      });
      this.#following = this.#follow();
    }
    if (this.#loaded) return;
    const stop = new AbortController();
    await Promise.race([
      this.#loads.next([this.#closing.signal, stop.signal]),
      pauseUntilAborted(waitMs, [this.#closing.signal, stop.signal]),
    ]);
    stop.abort();
    if (this.isClosing) throw this.#closed();
  }

  /** Reads all records now. @throws MicroError as the store's `list`. */
  async refresh(): Promise<void> {
    const { signal } = this.#closing;
    const records: StoreRecord[] = [];
    for await (const record of this.#store.list({ prefix: this.#prefix, signal })) {
      records.push(record);
    }
    if (this.isClosing) throw this.#closed();
    this.#take({ type: "snapshot", records });
  }

  protected async closeOnce(): Promise<void> {
    this.#stopListening?.();
    this.#closing.abort(this.#closed());
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        if (this.#store.guarantees.watch) await this.#watch();
        else await this.#poll();
      } catch (reason) {
        if (signal.aborted) return;
        this.#readFailure = asMicroError(reason, "unavailable");
        this.#report();
        await pauseUntilAborted(backoffMs(retry, ++this.#failures, Math.random), signal);
      }
    }
  }

  /** Returns only when closed. */
  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    for await (const event of this.#store.watch({ prefix: this.#prefix, signal })) {
      if (signal.aborted) return;
      this.#take(event);
    }
    if (signal.aborted) return;
    throw new MicroError("unavailable", `the watch of the store ${this.#store.name} has ended`);
  }

  async #poll(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.refresh();
      await pauseUntilAborted(this.#pollMs, this.#closing.signal);
    }
  }

  #take(event: StoreEvent): void {
    this.#follower.changed(event);
    if (event.type === "snapshot") {
      this.#loaded = true;
      this.#loads.tell();
    }
    if (this.#readFailure === undefined) return;
    this.#readFailure = undefined;
    this.#failures = 0;
    this.#report();
  }

  #report(): void {
    if (!this.isClosing) this.#follower.failing(this.#readFailure ?? this.#stateReason);
  }

  #closed(): MicroError {
    return new MicroError("unavailable", `cannot follow ${this.#prefix} in the store: closed`, {
      outcome: "not-executed",
    });
  }
}
