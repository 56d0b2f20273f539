import type { KeyObject } from "node:crypto";
import { MicroError } from "../../base/error.ts";
import type { Awaitable } from "../../call/call.ts";
import { verifyingKey } from "./event-signature.ts";

/** A public key of a publisher, and the account that it signs for. */
export interface EventKey {
  readonly issuer: string;
  /** Id of the account. A key signs for no other one. */
  readonly account: string;
  readonly keyId: string;
  /** The Ed25519 public key, in PEM or as a key of `node:crypto`. */
  readonly key: string | KeyObject;
  /** Type of the account. Default `service`. */
  readonly type?: string;
  /** Scopes of the account. Default: none. */
  readonly scopes?: readonly string[];
}

/** Keys of publishers that change, such as `publishedEventKeys` of `@micro-es/runtime/auth`. */
export interface EventKeySource {
  /**
   * Returns the key by which an account signs, at once if it is known; undefined if the account has
   * no such key.
   * @throws MicroError `unavailable` if that cannot be known.
   */
  key(issuer: string, account: string, keyId: string): Awaitable<EventKey | undefined>;
}

/** An {@link EventKey} that is ready for use. */
export interface PreparedEventKey extends EventKey {
  readonly key: KeyObject;
}

/** Keys that never change, by issuer and id. */
export class FixedEventKeys implements EventKeySource {
  readonly #keys = new Map<string, PreparedEventKey>();

  /** @throws MicroError `invalid_argument` for a key that cannot be used, or two of one id. */
  constructor(keys: readonly EventKey[]) {
    for (const entry of keys) {
      const name = nameOf(entry.issuer, entry.keyId);
      if (this.#keys.has(name)) {
        throw new MicroError(
          "invalid_argument",
          `events.keys has two keys ${JSON.stringify(entry.keyId)} of ${entry.issuer}`,
          { outcome: "not-executed" },
        );
      }
      this.#keys.set(name, prepared(entry));
    }
  }

  key(issuer: string, account: string, keyId: string): PreparedEventKey | undefined {
    const found = this.#keys.get(nameOf(issuer, keyId));
    return found?.account === account ? found : undefined;
  }
}

/** @throws MicroError `invalid_argument` if the key is not Ed25519. */
export function prepared(entry: EventKey): PreparedEventKey {
  return { ...entry, key: verifyingKey(entry.key) };
}

function nameOf(issuer: string, keyId: string): string {
  return JSON.stringify([issuer, keyId]);
}
