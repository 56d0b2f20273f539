import { Buffer } from "node:buffer";
import type { BackendStatus } from "../../base/backend-state.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import type { ExpiryClock } from "../expiry-clock.ts";
import type { Fence } from "../store.ts";
import {
  quoteKey,
  requireFence,
  requireOpen,
  requireVersion,
  type Write,
} from "../validate-write.ts";
import type { Change, FileDatabase } from "./database.ts";
import {
  decodeRecord,
  encodeCounter,
  encodeRecord,
  expiryKey,
  fenceKey,
  type RecordContents,
  recordKey,
} from "./record.ts";

/** A write, or a deletion if `write` is undefined. */
export interface Mutation {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly write: Write | undefined;
  readonly ifVersion: bigint | undefined;
  readonly fence: Fence | undefined;
}

interface Waiting extends Mutation {
  readonly resolve: (result: bigint | boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** The result of a mutation, returned to its caller when the mutation is on disk. */
type Result = bigint | boolean | MicroError;

/** An unreadable record: it may be replaced, and has no version to compare with. */
const damaged = Symbol("damaged");
type Current = RecordContents | typeof damaged | undefined;

const noValue = Buffer.alloc(0);
const maxWaiting = 10_000;
const maxWaitingBytes = 64 * 1024 * 1024;
const batchSize = 500;
const batchBytes = 4 * 1024 * 1024;

/**
 * The mutations of a file store, executed one after the other, which makes compare-and-set atomic.
 * Those that wait while the disk is busy are written together, with one sync for all of them.
 */
export class WriteQueue {
  readonly #database: FileDatabase;
  readonly #clock: ExpiryClock;
  readonly #status: BackendStatus;
  readonly #onChange: (key: string, contents: RecordContents | undefined) => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** Settles when everything that was queued has been done; never rejects. */
  #work: Promise<void> = Promise.resolve();
  #scheduled = false;
  #closed = false;

  /**
   * @param onChange called for each written and each deleted record, once the change is on disk.
   */
  constructor(
    database: FileDatabase,
    clock: ExpiryClock,
    status: BackendStatus,
    onChange: (key: string, contents: RecordContents | undefined) => void,
  ) {
    this.#onChange = onChange;
    this.#database = database;
    this.#clock = clock;
    this.#status = status;
  }

  /**
   * Executes a mutation: a write resolves to its version, a deletion to whether there was a record.
   */
  add<T extends bigint | boolean>(mutation: Mutation): Promise<T> {
    requireOpen(this.#closed, "change the store");
    const size = sizeOf(mutation);
    const full =
      this.#waiting.length >= maxWaiting ||
      (this.#waiting.length > 0 && this.#waitingBytes + size > maxWaitingBytes);
    if (full) {
      throw new MicroError(
        "resource_exhausted",
        `cannot change store key ${quoteKey(mutation.key)}: ${this.#waiting.length} changes with ` +
          `${this.#waitingBytes} bytes wait for the disk; await earlier writes before more`,
        { outcome: "not-executed" },
      );
    }
    return new Promise<T>((resolve, reject) => {
      this.#waitingBytes += size;
      this.#waiting.push({
        ...mutation,
        resolve: resolve as (result: bigint | boolean) => void,
        reject,
      });
      this.#schedule();
    });
  }

  /** Runs other work between two batches. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(work);
    this.#work = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  /** Accepts no further work, and resolves when all accepted work is done. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#waiting.length > 0) await this.#work;
    await this.#work;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#work = this.#work.then(() => this.#writeBatch());
  }

  async #writeBatch(): Promise<void> {
    this.#scheduled = false;
    const batch = this.#take();
    if (this.#waiting.length > 0) this.#schedule();
    try {
      const results = await this.#apply(batch);
      this.#status.set("healthy");
      for (const [i, { resolve, reject }] of batch.entries()) {
        const result = results[i]!;
        if (result instanceof MicroError) reject(result);
        else resolve(result);
      }
    } catch (error) {
      const reason = asMicroError(error);
      this.#status.set("degraded", reason);
      for (const { reject } of batch) reject(reason);
    }
  }

  #take(): Waiting[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < batchSize && bytes < batchBytes) {
      bytes += sizeOf(this.#waiting[count]!);
      count++;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  async #apply(batch: readonly Waiting[]): Promise<Result[]> {
    const current = await this.#load(batch);
    const fences = await this.#loadFences(batch);
    const changes: Change[] = [];
    const changed: [key: string, contents: RecordContents | undefined][] = [];
    let version = this.#database.version;
    const results = batch.map((mutation): Result => {
      const { key, bytes, write, fence } = mutation;
      const old = current.get(key);
      try {
        requireFence(key, fence, fence && fences.get(fence.lock));
        const found = this.#requireVersion(mutation, old);
        if (fence !== undefined && fence.token !== fences.get(fence.lock)) {
          fences.set(fence.lock, fence.token);
          changes.push({
            type: "put",
            key: fenceKey(fence.lock),
            value: encodeCounter(fence.token),
          });
        }
        if (old === undefined && write === undefined) return false;
        if (typeof old === "object" && old.expiresAt !== undefined) {
          changes.push({ type: "del", key: expiryKey(old.expiresAt, bytes) });
        }
        if (write === undefined) {
          changes.push({ type: "del", key: recordKey(bytes) });
          current.set(key, undefined);
          changed.push([key, undefined]);
          return found;
        }
        const contents: RecordContents = { ...write, version: ++version };
        changes.push({ type: "put", key: recordKey(bytes), value: encodeRecord(bytes, contents) });
        if (write.expiresAt !== undefined) {
          changes.push({ type: "put", key: expiryKey(write.expiresAt, bytes), value: noValue });
        }
        current.set(key, contents);
        changed.push([key, contents]);
        return version;
      } catch (error) {
        return asMicroError(error, "internal", { outcome: "not-executed" });
      }
    });
    if (changes.length > 0) await this.#database.write(changes, version);
    for (const [key, contents] of changed) this.#onChange(key, contents);
    return results;
  }

  async #load(batch: readonly Waiting[]): Promise<Map<string, Current>> {
    const keys = new Map(batch.map(({ key, bytes }) => [key, bytes]));
    const found = await this.#database.getMany([...keys.values()].map(recordKey));
    const current = new Map<string, Current>();
    let i = 0;
    for (const [key, bytes] of keys) {
      const record = found[i++];
      current.set(key, record === undefined ? undefined : (decodeRecord(bytes, record) ?? damaged));
    }
    return current;
  }

  /** The largest token seen, by lock, for the locks in a batch. */
  async #loadFences(batch: readonly Waiting[]): Promise<Map<string, bigint>> {
    const locks = [...new Set(batch.flatMap(({ fence }) => (fence ? [fence.lock] : [])))];
    const tokens = new Map<string, bigint>();
    if (locks.length === 0) return tokens;
    const found = await this.#database.getMany(locks.map(fenceKey));
    for (const [i, lock] of locks.entries()) {
      const bytes = found[i];
      if (bytes?.length === 8) tokens.set(lock, bytes.readBigUInt64BE());
    }
    return tokens;
  }

  /**
   * Checks that the record has the version that the caller expects, and returns whether there is a
   * record.
   */
  #requireVersion({ key, write, ifVersion }: Mutation, old: Current): boolean {
    if (old === damaged) {
      if (ifVersion === undefined) return true;
      throw this.#database.damagedRecord(key);
    }
    const live = old !== undefined && (old.expiresAt ?? Infinity) > this.#clock.now();
    requireVersion(
      key,
      ifVersion,
      live ? old.version : 0n,
      write === undefined ? "delete" : "write",
    );
    return live;
  }
}

function sizeOf({ bytes, write }: Mutation): number {
  return bytes.length + (write?.bytes ?? 0);
}
