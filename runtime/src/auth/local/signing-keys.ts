import type { JsonWebKey, KeyObject } from "node:crypto";
import { pauseUntilAborted } from "../../base/abort.ts";
import { Closable } from "../../base/closable.ts";
import { monotonicNow } from "../../base/deadline.ts";
import { asMicroError, isMicroError, MicroError, messageOf } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { Store, StoreEvent } from "../../store/store.ts";
import type { Sync } from "../../sync/sync.ts";
import type { AdvancingClock } from "../advancing-clock.ts";
import type { AuthAlgorithm } from "../auth.ts";
import { FollowedRecords } from "../followed-records.ts";
import { type KeySource, readJwk, type VerificationKey } from "../verification-key.ts";
import {
  advanceRing,
  decodeRing,
  encodeRing,
  type KeyRing,
  leadMs,
  type RingKey,
  type RotationTimes,
  ringKey,
  ringPrefix,
  withoutKey,
} from "./key-ring.ts";
import { type KeyWrap, makeKey } from "./make-key.ts";

/** What {@link SigningKeys} are made of. */
export interface SigningKeyParts {
  readonly store: Store;
  readonly sync: Sync | undefined;
  readonly issuer: string;
  readonly algorithm: AuthAlgorithm;
  readonly times: RotationTimes;
  readonly wrap: KeyWrap;
  readonly clock: AdvancingClock;
  readonly logger: Logger;
  /** Called with the keys that are no longer valid. */
  readonly onRemoved: (keys: ReadonlySet<VerificationKey>) => void;
  /** Called when {@link SigningKeys.fault} or the keys have changed. */
  readonly onChange: () => void;
}

/** The key that signs. */
export interface Signer {
  readonly id: string;
  readonly algorithm: AuthAlgorithm;
  readonly key: KeyObject;
}

/** Lock under which the key ring is changed. */
const lockId = "auth/keys";
/** How long a change waits for the lock, in milliseconds. */
const lockWaitMs = 10_000;
/** How often a change is tried again after another process was faster. */
const maxAttempts = 20;
/** The longest time between two looks at what is due, in milliseconds. */
const maxTickMs = 60_000;
/** Least time between two reads for ids that are not in the ring, in milliseconds. */
const unknownIdMs = 1_000;

/**
 * The keys of an issuer in a store, shared by all processes that use it. They are rotated by
 * whichever process notices first that it is due. Keys are made when the first token is issued, so
 * that a process that only verifies makes none.
 */
export class SigningKeys extends Closable implements KeySource {
  readonly followed: FollowedRecords;
  readonly #parts: SigningKeyParts;
  readonly #closing = new AbortController();
  #ring: KeyRing | undefined;
  #version = 0n;
  #keys: ReadonlyMap<string, VerificationKey> = new Map();
  /** The unwrapped key that signs. */
  #signer: Signer | undefined;
  #fault: MicroError | undefined;
  #failing: MicroError | undefined;
  #ticking: Promise<void> | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(parts: SigningKeyParts) {
    super();
    this.#parts = parts;
    this.followed = new FollowedRecords(parts.store, ringPrefix, {
      changed: (event) => this.#changed(event),
      failing: (reason) => {
        this.#failing = reason;
        parts.onChange();
      },
    });
  }

  /** Why the keys in the store are not in use, or not followed. */
  get fault(): MicroError | undefined {
    return this.#fault ?? this.#failing;
  }

  /** The public keys, for a key set. */
  get published(): readonly JsonWebKey[] {
    return this.#ring?.keys.map(({ publicKey }) => publicKey) ?? [];
  }

  get ring(): KeyRing | undefined {
    return this.#ring;
  }

  /** Uses public keys of an earlier process until those of the store are known. */
  restore(keys: readonly JsonWebKey[]): void {
    if (!this.followed.loaded) this.#keys = verificationKeys(keys);
  }

  async open(waitMs: number): Promise<void> {
    await this.followed.open(waitMs);
    this.#ticking ??= this.#tick();
  }

  async key(id: string | undefined): Promise<VerificationKey | undefined> {
    if (id === undefined) return undefined;
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    if (this.followed.loaded && monotonicNow() - this.#readAt >= unknownIdMs) {
      this.#readAt = monotonicNow();
      // The state reports a store that fails.
      await this.followed.refresh().catch(() => {});
    }
    const found = this.#keys.get(id);
    if (found !== undefined || this.#ring !== undefined) return found;
    if (this.followed.loaded && this.#fault === undefined) return undefined;
    throw new MicroError("unavailable", "the keys of the issuer are not known at the moment", {
      outcome: "not-executed",
      cause: this.fault,
    });
  }

  holds(key: VerificationKey): boolean {
    return key.id !== undefined && this.#keys.get(key.id) === key;
  }

  /**
   * The key that signs; makes the first one.
   * @throws MicroError `failed_precondition` if it cannot be used here; `unavailable`, `data_loss`
   * as the store.
   */
  async signer(): Promise<Signer> {
    let active = this.#active();
    if (active === undefined) {
      await this.#change(false);
      active = this.#active();
    }
    if (active === undefined) throw this.#fault ?? new MicroError("unavailable", "there is no key");
    if (this.#signer?.id === active.id) return this.#signer;
    const { id, algorithm } = active;
    this.#signer = { id, algorithm, key: await this.#parts.wrap.unwrap(active) };
    return this.#signer;
  }

  /** Publishes the next key, unless there is one; returns its id and when it begins to sign. */
  async rotate(): Promise<{ readonly id: string; readonly activeAtMs: number }> {
    await this.#change(true);
    const next = this.#ring?.keys.find(({ state }) => state === "next");
    if (next === undefined) throw new MicroError("aborted", "another process rotates the keys");
    return { id: next.id, activeAtMs: next.untilMs };
  }

  /** Removes a key at once, as when it is known to others. */
  async remove(id: string): Promise<boolean> {
    let existed = false;
    await this.#update(async (ring) => {
      const rest = withoutKey(ring, id);
      existed = rest !== ring;
      return existed ? this.#advance(rest, false) : ring;
    });
    return existed;
  }

  protected async closeOnce(): Promise<void> {
    this.#closing.abort();
    await this.followed.close();
    await this.#ticking;
  }

  #active(): RingKey | undefined {
    return this.#ring?.keys.find(({ state }) => state === "active");
  }

  #changed(event: StoreEvent): void {
    const record =
      event.type === "snapshot"
        ? event.records.find(({ key }) => key === ringKey)
        : event.type === "written" && event.record.key === ringKey
          ? event.record
          : undefined;
    if (record === undefined && event.type === "written") return;
    if (event.type === "deleted" && event.key !== ringKey) return;
    // A change that a reading of the record was ahead of.
    if (event.type === "written" && event.record.version <= this.#version) return;
    this.#version = record?.version ?? 0n;
    try {
      this.#use(record === undefined ? undefined : decodeRing(record.value));
      this.#fault = undefined;
    } catch (reason) {
      this.#fault = asMicroError(reason, "data_loss");
    }
    this.#parts.onChange();
  }

  #use(ring: KeyRing | undefined): void {
    const { issuer, onRemoved } = this.#parts;
    if (ring !== undefined && ring.issuer !== issuer) {
      throw new MicroError(
        "failed_precondition",
        `the keys in the store are those of the issuer ${JSON.stringify(ring.issuer)}, and this is ` +
          `${JSON.stringify(issuer)}; use another store for each issuer`,
      );
    }
    const before = this.#keys;
    const keys = verificationKeys(ring?.keys.map(({ publicKey }) => publicKey) ?? [], before);
    this.#ring = ring;
    this.#keys = keys;
    const removed = new Set([...before.values()].filter((key) => !this.holds(key)));
    if (removed.size > 0) onRemoved(removed);
  }

  /** Looks from time to time whether a rotation is due. */
  async #tick(): Promise<void> {
    const { signal } = this.#closing;
    const { times, logger } = this.#parts;
    let failed = "";
    while (!signal.aborted) {
      await pauseUntilAborted(Math.min(maxTickMs, times.refreshMs / 4), signal);
      if (signal.aborted || this.#ring === undefined || !this.#mayRotate()) continue;
      const nowMs = this.#parts.clock.now();
      const isDue = this.#ring.keys.some(
        ({ state, untilMs }) => untilMs - (state === "active" ? leadMs(times) : 0) <= nowMs,
      );
      if (!isDue) continue;
      try {
        await this.#change(false);
        failed = "";
      } catch (reason) {
        const message = messageOf(reason);
        if (message !== failed && !signal.aborted) {
          logger.warn({ error: message }, "the keys of the issuer could not be rotated");
        }
        failed = message;
      }
    }
  }

  /** A process whose configuration lacks the key for wrapping must not store a key unwrapped. */
  #mayRotate(): boolean {
    const active = this.#active();
    const isWrapped = active?.privateKey.startsWith("{") === false;
    return !isWrapped || this.#parts.wrap.wraps;
  }

  #change(rotate: boolean): Promise<void> {
    return this.#update((ring) => this.#advance(ring, rotate));
  }

  async #advance(ring: KeyRing, rotate: boolean): Promise<KeyRing> {
    if (!this.#mayRotate()) {
      throw new MicroError(
        "failed_precondition",
        "cannot make a key: the keys in the store are wrapped; set keyEncryptionKey",
        { outcome: "not-executed" },
      );
    }
    const { algorithm, times, wrap, clock } = this.#parts;
    // At most two keys are made: one that is missing, and the next.
    const spare = [await makeKey(algorithm, wrap), await makeKey(algorithm, wrap)];
    return advanceRing(ring, times, clock.now(), () => spare.pop()!, rotate);
  }

  async #update(change: (ring: KeyRing) => Promise<KeyRing>): Promise<void> {
    const { sync } = this.#parts;
    const lock = await sync?.lock(lockId, { waitMs: lockWaitMs, signal: this.#closing.signal });
    try {
      for (let attempt = 1; !(await this.#tryUpdate(change)); attempt++) {
        if (attempt === maxAttempts) {
          throw new MicroError("aborted", "other processes keep changing the keys; try again", {
            outcome: "not-executed",
          });
        }
      }
    } finally {
      await lock?.unlock();
    }
    await this.followed.refresh();
  }

  /** Returns false if another process was faster. */
  async #tryUpdate(change: (ring: KeyRing) => Promise<KeyRing>): Promise<boolean> {
    const { store, issuer } = this.#parts;
    const record = await store.read(ringKey);
    const ring = record === undefined ? { issuer, keys: [] } : decodeRing(record.value);
    if (ring.issuer !== issuer) this.#use(ring);
    const changed = await change(ring);
    if (changed === ring) return true;
    try {
      await store.write(ringKey, encodeRing(changed), { ifVersion: record?.version ?? 0n });
      return true;
    } catch (error) {
      if (isMicroError(error) && error.code === "aborted") return false;
      throw error;
    }
  }
}

/** @throws MicroError `data_loss` for a key that cannot be used. */
function verificationKeys(
  jwks: readonly JsonWebKey[],
  known: ReadonlyMap<string, VerificationKey> = new Map(),
): ReadonlyMap<string, VerificationKey> {
  const keys = new Map<string, VerificationKey>();
  for (const jwk of jwks) {
    const reading = readJwk(jwk);
    if (!("key" in reading)) {
      const why = "bad" in reading ? reading.bad : reading.unsuitable;
      throw new MicroError("data_loss", `a public key in ${ringKey} cannot be used: ${why}`);
    }
    const { key } = reading;
    const before = known.get(key.id!);
    // The same object, so that what it has signed stays recognizable.
    keys.set(key.id!, before?.material === key.material ? before : key);
  }
  return keys;
}
