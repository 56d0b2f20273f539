import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import {
  durationMs,
  either,
  logger,
  type OptionKind,
  type OptionKindsOf,
  oneOf,
  part,
  required,
  text,
  texts,
} from "../../base/option-check.ts";
import type { Store } from "../../store/store.ts";
import type { Sync } from "../../sync/sync.ts";
import type { AuthAlgorithm } from "../auth.ts";

/** Options of `localAuth`. */
export interface LocalAuthOptions {
  /**
   * Has accounts, keys, refresh tokens and revocations, below `auth/`. All processes of the issuer
   * share it; closing the auth leaves it open.
   */
  readonly store: Store;
  /** Keeps processes from rotating keys at the same time. Default: the later one tries again. */
  readonly sync?: Sync;
  /** Name of the issuer, in each token. */
  readonly issuer: string;
  /**
   * Names of this service: tokens are accepted if they are for one of them. Tokens are issued for
   * all of them by default. Default: the issuer's name, so for all services of the fleet.
   */
  readonly audience?: string | readonly string[];
  /** Algorithm of new keys. Default `EdDSA`. */
  readonly algorithm?: AuthAlgorithm;
  /**
   * Wraps private keys in the store: 32 bytes, or base64 or base64url of them, for example by
   * `openssl rand -base64 32`. Only processes that issue tokens need it. Without it, whoever reads
   * the store can sign tokens, which is logged as a warning if the store is shared or durable.
   */
  readonly keyEncryptionKey?: string | Uint8Array;
  /**
   * How often verifiers that use the key set read it, in milliseconds: a key is published for twice
   * this time before it signs. Default 5 minutes, as that of `jwtAuth`.
   */
  readonly refreshMs?: number;
  /** How long a key signs, in milliseconds. Default 30 days. */
  readonly rotationMs?: number;
  /**
   * How long tokens are verified by what was last known while the store cannot be reached, in
   * milliseconds; after it they are refused as `unavailable`. Default 24 hours.
   */
  readonly maxStaleMs?: number;
  /**
   * A file that keeps public keys and revocations, for a start while the store cannot be reached.
   * Default: none is kept.
   */
  readonly lastKnownGood?: string;
  /** Default: that of the service that uses the auth. */
  readonly logger?: Logger;
}

const dayMs = 24 * 60 * 60 * 1_000;

/** Defaults of durations, in milliseconds. */
export const defaultRefreshMs: number = 5 * 60_000;
export const defaultRotationMs: number = 30 * dayMs;
export const defaultMaxStaleMs: number = dayMs;

const keyBytes = 32;

const keyEncryptionKey: OptionKind = {
  secret: true,
  words: "32 bytes, or base64 of them, for example by openssl rand -base64 32",
  accepts: (value) => keyOf(value)?.length === keyBytes,
};

/** The options of `localAuth`. */
export const localAuthKinds: OptionKindsOf<LocalAuthOptions> = {
  store: required(part("a Store", "natsStore()", "read", "write", "list")),
  sync: part("a Sync", "natsSync()", "lock", "lead"),
  issuer: required(text),
  audience: either(text, texts),
  algorithm: oneOf("EdDSA", "ES256", "RS256"),
  keyEncryptionKey,
  refreshMs: durationMs(10),
  rotationMs: durationMs(10, 10 * 365 * dayMs),
  maxStaleMs: durationMs(0),
  lastKnownGood: text,
  logger,
};

/** @throws MicroError `invalid_argument` for a store or an audience that cannot be used. */
export function checkStoreAndAudience({ store, audience }: LocalAuthOptions): void {
  if (!store.guarantees.compareAndSet) {
    throw invalid(`the store ${store.name} has no compare-and-set, which single use needs`);
  }
  if (Array.isArray(audience) && (audience.length === 0 || audience.includes(""))) {
    throw invalid("audience must have at least one name, and no empty one");
  }
}

/** The bytes of a key that wraps others. */
export function wrappingKey(key: LocalAuthOptions["keyEncryptionKey"]): Uint8Array | undefined {
  return keyOf(key);
}

function keyOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "string" || !/^[A-Za-z0-9+/_-]+=*$/.test(value)) return undefined;
  return Buffer.from(value.replaceAll("-", "+").replaceAll("_", "/"), "base64");
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", `localAuth: ${message}`, { outcome: "not-executed" });
}
