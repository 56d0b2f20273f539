import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { MicroError } from "../base/error.ts";
import type { Store, StoreRecord } from "../store/store.ts";
import type { Deduplicate } from "./broker.ts";
import type { EventRecord } from "./event.ts";

const defaultClaimMs = 30_000;

/** How long an event waits that is being handled elsewhere, in milliseconds. */
const leastWaitMs = 20;
const mostWaitMs = 1_000;

/** How the next attempt at an event may go on. */
export type Admission =
  | { readonly state: "claimed"; readonly claim: Claim }
  | { readonly state: "handled" }
  | { readonly state: "elsewhere"; readonly waitMs: number };

/** What the store keeps of an event. */
interface Entry {
  readonly state: "claimed" | "handled";
  /** Identifies the subscription that claimed it. */
  readonly owner: string;
}

/**
 * Remembers in a store which events were handled, so that an event that a broker delivers again is
 * not. Before an attempt its event is claimed by compare-and-set, and the claim is renewed while
 * the handler runs. After a success the event is marked as handled, before it is acknowledged.
 */
export class Deduplication {
  readonly #store: Store;
  readonly #terms: ClaimTerms;
  readonly #prefix: string;
  /** Keys of the events that are being handled here. */
  readonly #claimed = new Set<string>();

  /**
   * @param scope the subscribers that count as one: the queue group by default
   * @throws MicroError `invalid_argument` for a store without compare-and-set, and without a scope
   */
  constructor(topic: string, options: Deduplicate, queue: string | undefined) {
    const { store, ttlMs, claimMs = defaultClaimMs, scope: name = queue } = options;
    if (name === undefined) {
      throw refuse(
        `deduplicate of the subscription to ${topic} needs a queue, or a scope that names its subscriber: without it no record can be found after a restart`,
      );
    }
    if (!store.guarantees.compareAndSet) {
      throw refuse(
        `deduplicate of the subscription to ${topic} needs a store with compare-and-set`,
      );
    }
    this.#store = store;
    this.#terms = { owner: randomUUID(), claimMs, ttlMs };
    this.#prefix = `handled/${encodeURIComponent(name)}/${topic}/`;
  }

  /**
   * Claims an event for one attempt.
   * @throws MicroError of the store; the event was not claimed, or its claim expires
   */
  async begin(record: EventRecord): Promise<Admission> {
    const key = this.#keyOf(record.id);
    // Two copies of one event may arrive at once.
    if (this.#claimed.has(key)) return { state: "elsewhere", waitMs: leastWaitMs };
    this.#claimed.add(key);
    let isClaimed = false;
    try {
      const found = await this.#store.read(key);
      const entry = found === undefined ? undefined : entryOf(found);
      if (entry?.state === "handled") return { state: "handled" };
      if (entry !== undefined && entry.owner !== this.#terms.owner) return elsewhere(found);
      const claim = new Claim(this.#store, key, this.#terms, () => this.#claimed.delete(key));
      isClaimed = await claim.take(found?.version ?? 0n);
      return isClaimed ? { state: "claimed", claim } : elsewhere(undefined);
    } finally {
      if (!isClaimed) this.#claimed.delete(key);
    }
  }

  #keyOf(id: string): string {
    const key = this.#prefix + encodeURIComponent(id);
    if (Buffer.byteLength(key) <= this.#store.guarantees.maxKeyBytes) return key;
    return `handled/${createHash("sha256").update(key).digest("hex")}`;
  }
}

/** How a success is recorded that the store does not accept at once. */
export interface Recording {
  /** Whether the attempt was abandoned, so that there is nothing left to acknowledge. */
  isOver(): boolean;
  /** The wait after this number of failures, in milliseconds. */
  waitMs(failures: number): number;
  report(error: unknown, message: string): void;
}

interface ClaimTerms {
  readonly owner: string;
  /** How long a claim lasts without renewal, in milliseconds. */
  readonly claimMs: number;
  /** How long the event is remembered once it is handled, in milliseconds. */
  readonly ttlMs: number;
}

/** The right to handle an event, until it is marked as handled or released. */
export class Claim {
  readonly #store: Store;
  readonly #key: string;
  readonly #terms: ClaimTerms;
  readonly #ended: () => void;
  #version = 0n;
  #renewal: NodeJS.Timeout | undefined;
  /** The write under way: each depends on the version of the one before. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(store: Store, key: string, terms: ClaimTerms, ended: () => void) {
    this.#store = store;
    this.#key = key;
    this.#terms = terms;
    this.#ended = ended;
  }

  /** @returns whether the record still had this version; 0 means that there was none */
  async take(version: bigint): Promise<boolean> {
    this.#version = version;
    if (!(await this.#write("claimed"))) return false;
    const renew = () => {
      // A renewal that fails is repeated by the next, and the mark afterwards notices a lost claim.
      this.#inTurn(() => this.#write("claimed")).catch(() => undefined);
    };
    this.#renewal = setInterval(renew, this.#terms.claimMs / 3).unref();
    return true;
  }

  /** Lets the claim expire, unless the event is marked as handled before. */
  abandon(): void {
    clearInterval(this.#renewal);
    this.#ended();
  }

  /** Marks the event as handled, in as many attempts as that takes. */
  async record({ isOver, waitMs, report }: Recording): Promise<void> {
    clearInterval(this.#renewal);
    for (let attempt = 1; ; attempt++) {
      try {
        if (!(await this.#inTurn(() => this.#write("handled")))) {
          const error = new MicroError("aborted", "its claim had expired");
          report(error, "an event was handled here, and claimed elsewhere");
        }
        break;
      } catch (error) {
        const next = isOver() ? "it may be handled once more" : "trying again";
        report(error, `cannot record that an event was handled; ${next}`);
        if (isOver()) break;
        await sleep(waitMs(attempt), undefined, { ref: false });
      }
    }
    this.#ended();
  }

  /**
   * Lets the next attempt begin, wherever it does.
   * @throws MicroError of the store; the claim expires by itself then
   */
  async release(): Promise<void> {
    clearInterval(this.#renewal);
    try {
      await this.#inTurn(() => this.#store.delete(this.#key, { ifVersion: this.#version }));
    } catch (error) {
      if (!isAborted(error)) throw error;
    } finally {
      this.#ended();
    }
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#writing.then(change, change);
    this.#writing = changed.catch(() => undefined);
    return changed;
  }

  /** A write whose outcome was unknown may have changed the version. */
  async #write(state: Entry["state"]): Promise<boolean> {
    const { owner, claimMs, ttlMs: handledMs } = this.#terms;
    const value = Buffer.from(JSON.stringify({ state, owner } satisfies Entry));
    const ttlMs = state === "claimed" ? claimMs : handledMs;
    for (;;) {
      try {
        const options = { ttlMs, ifVersion: this.#version };
        this.#version = await this.#store.write(this.#key, value, options);
        return true;
      } catch (error) {
        if (!isAborted(error)) throw error;
      }
      const found = await this.#store.read(this.#key);
      if (found !== undefined && entryOf(found).owner !== owner) return false;
      // Expired, and claimed by no other.
      this.#version = found?.version ?? 0n;
    }
  }
}

function elsewhere(found: StoreRecord | undefined): Admission {
  const leftMs = (found?.expiresAt?.getTime() ?? 0) - Date.now();
  return { state: "elsewhere", waitMs: Math.min(mostWaitMs, Math.max(leastWaitMs, leftMs)) };
}

/** @throws MicroError for a value that is not of this file's making. */
function entryOf({ key, value }: StoreRecord): Entry {
  try {
    const { state, owner } = JSON.parse(Buffer.from(value).toString());
    if ((state === "claimed" || state === "handled") && typeof owner === "string") {
      return { state, owner };
    }
  } catch {
    // Refused below, as other content is.
  }
  throw new MicroError(
    "data_loss",
    `the record ${key} of handled events is malformed; delete it from the store`,
  );
}

function isAborted(error: unknown): boolean {
  return error instanceof MicroError && error.code === "aborted";
}

function refuse(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
