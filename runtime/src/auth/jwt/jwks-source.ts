import { listenForAbort } from "../../base/abort.ts";
import type { BackendStatus } from "../../base/backend-state.ts";
import { type Backoff, backoffMs } from "../../base/backoff.ts";
import { Closable } from "../../base/closable.ts";
import { type Deadline, monotonicNow } from "../../base/deadline.ts";
import { asMicroError, MicroError, messageOf } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { AuthAlgorithm } from "../auth.ts";
import type { KeptFile } from "../kept-file.ts";
import type { KeySource, VerificationKey } from "../verification-key.ts";
import type { KeptKeySet } from "./kept-key-set.ts";
import { readKeySet } from "./key-set.ts";
import type { KeySetOrigin } from "./key-set-origin.ts";

/** What a {@link JwksSource} is made of. */
export interface JwksSourceParts {
  readonly origin: KeySetOrigin;
  readonly algorithms: readonly AuthAlgorithm[];
  /** Time between two reads, varied by 20 %; in milliseconds. */
  readonly refreshMs: number;
  /** How long keys are used that cannot be refreshed, in milliseconds. */
  readonly maxStaleMs: number;
  /** Keeps the set for a start without its origin. */
  readonly kept: KeptFile<KeptKeySet> | undefined;
  readonly status: BackendStatus;
  readonly logger: Logger;
  /** Called with the keys that are no longer in the set. */
  readonly onRemoved: (keys: ReadonlySet<VerificationKey>) => void;
}

/** How long a read may take, in milliseconds. */
const readMs = 5_000;
/** Least time between two reads for ids that are not in the set, in milliseconds. */
const unknownIdMs = 30_000;
/** Waits after failures: without any key, the issuer is asked sooner. */
const withoutKeys: Backoff = { firstMs: 1_000, factor: 2, mostMs: 30_000, jitter: 0.2 };
const withKeys: Backoff = { firstMs: 36_000, factor: 1, mostMs: 36_000, jitter: 0.16 };

/**
 * The keys of an issuer, read from a key set and refreshed. While the set cannot be read, the last
 * good keys serve for a limited time. A key that left the set is removed at the next refresh.
 */
export class JwksSource extends Closable implements KeySource {
  readonly #parts: JwksSourceParts;
  #keys: ReadonlyMap<string, VerificationKey> = new Map();
  /** When the keys were read; undefined before the first set. */
  #readAt: Deadline | undefined;
  #startedAt: Deadline = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** The last failure; the same one is reported once. */
  #failure = "";
  #problems = "";
  #opening: Promise<void> | undefined;
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #closed = new AbortController();

  constructor(parts: JwksSourceParts) {
    super();
    this.#parts = parts;
  }

  /** Resolves when there are keys, or the first attempt to read them has failed. */
  open(): Promise<void> {
    this.#opening ??= this.#begin();
    return this.#opening;
  }

  key(id: string | undefined): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    if (id === undefined) return undefined;
    return this.#usable()?.get(id) ?? this.#find(id);
  }

  holds(key: VerificationKey): boolean {
    return key.id !== undefined && this.#keys.get(key.id) === key;
  }

  protected async closeOnce(): Promise<void> {
    clearTimeout(this.#timer);
    this.#closed.abort();
    await this.#opening;
    await this.#refreshing;
    await this.#parts.kept?.saved();
  }

  /** The keys, unless they are too old or have never been read. */
  #usable(): ReadonlyMap<string, VerificationKey> | undefined {
    const { maxStaleMs } = this.#parts;
    const isFresh = this.#readAt !== undefined && monotonicNow() - this.#readAt <= maxStaleMs;
    return isFresh && !this.isClosing ? this.#keys : undefined;
  }

  async #find(id: string): Promise<VerificationKey | undefined> {
    await this.open();
    if (this.#refreshing !== undefined) {
      // While the issuer is known to fail, a read may end by its time limit only.
      if (this.#failures > 0) throw this.#unknown();
      await this.#refreshing;
    } else if (this.#mayRead() && !this.#usable()?.has(id)) {
      await this.#refresh();
    }
    const keys = this.#usable();
    if (keys !== undefined) return keys.get(id);
    throw this.#unknown();
  }

  /** Tokens with invented ids must not make requests: the limit counts failed ones too. */
  #mayRead(): boolean {
    return monotonicNow() - this.#startedAt >= unknownIdMs;
  }

  #unknown(): MicroError {
    const { place } = this.#parts.origin;
    return new MicroError("unavailable", `the keys of ${place} are not known at the moment`, {
      outcome: "not-executed",
    });
  }

  async #begin(): Promise<void> {
    await this.#restore();
    const refreshing = this.#refresh();
    if (this.#usable() === undefined) await refreshing;
  }

  /** Starts with the keys of an earlier process. */
  async #restore(): Promise<void> {
    const { kept, algorithms, maxStaleMs, logger } = this.#parts;
    try {
      const found = await kept?.load();
      if (found === undefined) return;
      const ageMs = Math.max(0, Date.now() - found.readAtMs);
      if (ageMs > maxStaleMs) return;
      this.#keys = readKeySet(found.keySet, algorithms).keys;
      this.#readAt = monotonicNow() - ageMs;
    } catch (error) {
      logger.warn({ error: messageOf(error) }, "the kept key set is not used");
    }
  }

  /** Reads the set; several that ask for it at the same time share one read. */
  #refresh(): Promise<void> {
    if (this.isClosing) return Promise.resolve();
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
      this.#schedule();
    });
    return this.#refreshing;
  }

  async #read(): Promise<void> {
    clearTimeout(this.#timer);
    this.#startedAt = monotonicNow();
    const { origin, algorithms } = this.#parts;
    try {
      const text = await this.#readInTime();
      if (this.isClosing) return;
      const { keys, problems } = readKeySet(text, algorithms);
      this.#take(keys, problems);
      this.#keep({ place: origin.place, readAtMs: Date.now(), keySet: text });
    } catch (reason) {
      if (this.isClosing) return;
      this.#failures++;
      const error = asMicroError(reason, "unavailable");
      const { status } = this.#parts;
      const message = `the keys of ${origin.place} cannot be refreshed: ${error.message}`;
      const explained = new MicroError("unavailable", message, { cause: reason });
      const state = this.#usable() === undefined ? "lost" : "degraded";
      if (status.state !== state) status.set(state, explained);
      else if (message !== this.#failure) status.explain(explained);
      this.#failure = message;
    }
  }

  async #readInTime(): Promise<string> {
    const controller = new AbortController();
    const give = (reason: string): void => controller.abort(new Error(reason));
    const timer = setTimeout(give, readMs, `no response within ${readMs} ms`);
    const stopListening = listenForAbort(this.#closed.signal, () => give("it was closed"));
    try {
      return await this.#parts.origin.read(controller.signal);
    } finally {
      clearTimeout(timer);
      stopListening();
    }
  }

  #take(keys: ReadonlyMap<string, VerificationKey>, problems: readonly string[]): void {
    const previous = this.#keys;
    this.#keys = new Map([...keys].map(([id, key]) => [id, unchanged(previous.get(id), key)]));
    this.#readAt = monotonicNow();
    this.#failures = 0;
    this.#failure = "";
    this.#report(problems);
    const removed = new Set([...previous.values()].filter((key) => !this.holds(key)));
    if (removed.size > 0) this.#parts.onRemoved(removed);
  }

  #report(problems: readonly string[]): void {
    const { origin, status, logger } = this.#parts;
    const { place } = origin;
    const text = problems.join("; ");
    if (text !== "" && text !== this.#problems) {
      logger.warn({ keys: place }, `some keys of the set are not used: ${text}`);
    }
    this.#problems = text;
    if (this.#keys.size > 0) status.set("healthy");
    else {
      const reason = `the key set of ${place} has no key that could verify a token`;
      status.set("degraded", new MicroError("unavailable", reason));
    }
  }

  #keep(keySet: KeptKeySet): void {
    const { kept, logger } = this.#parts;
    kept?.save(keySet).catch((error) => {
      logger.warn({ error: messageOf(error) }, "the key set cannot be kept");
    });
  }

  #schedule(): void {
    if (this.isClosing) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refresh(), this.#waitMs());
    this.#timer.unref();
  }

  #waitMs(): number {
    const { refreshMs } = this.#parts;
    if (this.#failures === 0) return refreshMs * (0.8 + Math.random() * 0.4);
    const backoff = this.#usable() === undefined ? withoutKeys : withKeys;
    return Math.min(refreshMs, backoffMs(backoff, this.#failures, Math.random));
  }
}

/** The key as it was known before, so that tokens signed by it stay recognizable. */
function unchanged(known: VerificationKey | undefined, key: VerificationKey): VerificationKey {
  return known?.material === key.material ? known : key;
}
