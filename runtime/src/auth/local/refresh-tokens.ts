import { createHash, randomBytes } from "node:crypto";
import { isMicroError, MicroError, messageOf } from "../../base/error.ts";
import type { Store, StoreRecord } from "../../store/store.ts";
import { isTable } from "../token-form.ts";

/** What a refresh token entitles to. */
export interface RefreshEntitlement {
  readonly family: string;
  readonly account: string;
  readonly incarnation: string;
  readonly scopes: readonly string[];
  readonly audience: readonly string[];
}

/** A refresh token in the store, by the hash of its text. */
interface StoredRefresh extends RefreshEntitlement {
  readonly issuedAtMs: number;
  /** When the family ends. */
  readonly endsAtMs: number;
  readonly used: boolean;
}

export const refreshPrefix = "auth/refresh/";
export const familyPrefix = "auth/families/";

const idleMs = 7 * 24 * 60 * 60 * 1_000;
const totalMs = 30 * 24 * 60 * 60 * 1_000;
/** Records outlive what they describe, for clocks that differ. */
const marginMs = 60 * 60 * 1_000;

/** A refresh token that can be used, and then no longer. */
export interface Redeemable extends RefreshEntitlement {
  /**
   * Uses the token up. False if another use was faster: then the family is revoked.
   */
  redeem(): Promise<boolean>;
  /** A token of the same family that takes its place. */
  successor(): Promise<string>;
}

/**
 * Refresh tokens: 32 random bytes each, of which the store has only the hash. Each can be used
 * once; a second use shows that it was copied, and ends all tokens of its family.
 */
export class RefreshTokens {
  readonly #store: Store;
  readonly #revokeFamily: (family: string) => Promise<void>;

  /** @param revokeFamily ends the access tokens of a family */
  constructor(store: Store, revokeFamily: (family: string) => Promise<void>) {
    this.#store = store;
    this.#revokeFamily = revokeFamily;
  }

  /** Issues the first token of a new family. */
  async begin(
    to: Omit<RefreshEntitlement, "family">,
    family: string,
    nowMs: number,
  ): Promise<string> {
    const endsAtMs = nowMs + totalMs;
    const value = encode({ account: to.account, revoked: false });
    await this.#store.write(familyPrefix + family, value, {
      ifVersion: 0n,
      ttlMs: totalMs + marginMs,
    });
    return this.#issue({ ...to, family, issuedAtMs: nowMs, endsAtMs, used: false }, nowMs);
  }

  /**
   * The token with a text; a string with the reason if it cannot be used.
   * @throws MicroError as the store.
   */
  async find(text: string, nowMs: number): Promise<Redeemable | string> {
    const key = keyOf(text);
    if (key === undefined) return "it is not a refresh token";
    const record = await this.#store.read(key);
    if (record === undefined) return "the refresh token is not known";
    const stored = decode(record);
    const { family, issuedAtMs, endsAtMs, used } = stored;
    if (used) {
      await this.revoke(family);
      return "the refresh token was used before, so its family is revoked";
    }
    if (nowMs >= Math.min(issuedAtMs + idleMs, endsAtMs)) return "the refresh token has expired";
    if (!(await this.#isAlive(family))) return "the family of the refresh token is revoked";
    return {
      ...stored,
      redeem: () => this.#redeem(record, stored, nowMs),
      successor: () => this.#issue({ ...stored, issuedAtMs: nowMs }, nowMs),
    };
  }

  /** The family of a refresh token, used or not; undefined if the text is not one. */
  async familyOf(text: string): Promise<string | undefined> {
    const key = keyOf(text);
    const record = key === undefined ? undefined : await this.#store.read(key);
    return record === undefined ? undefined : decode(record).family;
  }

  /** Ends a family. Returns whether there was one. */
  async revoke(family: string): Promise<boolean> {
    const key = familyPrefix + family;
    const record = await this.#store.read(key);
    if (record === undefined) return false;
    if (await this.#isAlive(family)) {
      const ttlMs = totalMs + marginMs;
      await this.#store.write(key, encode({ revoked: true }), { ttlMs });
    }
    await this.#revokeFamily(family);
    return true;
  }

  async #isAlive(family: string): Promise<boolean> {
    const record = await this.#store.read(familyPrefix + family);
    if (record === undefined) return false;
    try {
      const stored: unknown = JSON.parse(new TextDecoder().decode(record.value));
      return isTable(stored) && stored.revoked === false;
    } catch {
      return false;
    }
  }

  async #redeem(record: StoreRecord, stored: StoredRefresh, nowMs: number): Promise<boolean> {
    try {
      await this.#store.write(record.key, encode({ ...stored, used: true }), {
        ifVersion: record.version,
        ttlMs: stored.endsAtMs - nowMs + marginMs,
      });
      return true;
    } catch (error) {
      if (!isMicroError(error) || error.code !== "aborted") throw error;
      await this.revoke(stored.family);
      return false;
    }
  }

  async #issue(stored: StoredRefresh, nowMs: number): Promise<string> {
    const text = randomBytes(32).toString("base64url");
    const ttlMs = stored.endsAtMs - nowMs + marginMs;
    await this.#store.write(keyOf(text)!, encode(stored), { ifVersion: 0n, ttlMs });
    return text;
  }
}

/** The key of a refresh token; undefined if the text is not one in its only spelling. */
function keyOf(text: string): string | undefined {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) return undefined;
  return refreshPrefix + createHash("sha256").update(bytes).digest("base64url");
}

function encode(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function decode({ key, value }: StoreRecord): StoredRefresh {
  let stored: unknown;
  try {
    stored = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch (error) {
    throw malformed(key, messageOf(error));
  }
  if (
    !isTable(stored) ||
    typeof stored.family !== "string" ||
    typeof stored.account !== "string" ||
    typeof stored.incarnation !== "string" ||
    !Array.isArray(stored.scopes) ||
    !Array.isArray(stored.audience) ||
    typeof stored.issuedAtMs !== "number" ||
    typeof stored.endsAtMs !== "number" ||
    typeof stored.used !== "boolean"
  ) {
    throw malformed(key, "it is incomplete");
  }
  return stored as unknown as StoredRefresh;
}

function malformed(key: string, why: string): MicroError {
  return new MicroError(
    "data_loss",
    `the record ${JSON.stringify(key)} is not a refresh token: ${why}`,
    {
      outcome: "not-executed",
    },
  );
}
