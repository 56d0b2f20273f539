import type { KeyObject } from "node:crypto";
import { MicroError } from "../../base/error.ts";
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

/** An {@link EventKey} that is ready for use. */
export interface PreparedEventKey extends EventKey {
  readonly key: KeyObject;
}

/** The keys of publishers, by issuer and id. */
export class EventKeys {
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
      this.#keys.set(name, { ...entry, key: verifyingKey(entry.key) });
    }
  }

  get(issuer: string, keyId: string): PreparedEventKey | undefined {
    return this.#keys.get(nameOf(issuer, keyId));
  }
}

function nameOf(issuer: string, keyId: string): string {
  return JSON.stringify([issuer, keyId]);
}
