import { createHash } from "node:crypto";
import { isMicroError } from "../../base/error.ts";
import type { Store } from "../../store/store.ts";
import type { AdvancingClock } from "../advancing-clock.ts";
import { invalidCredential } from "../refusals.ts";
import { parseToken } from "../token-form.ts";
import { clockSkewMs } from "../token-policy.ts";
import { TokenVerifier } from "../token-verifier.ts";
import { readJwk } from "../verification-key.ts";
import type { Accounts, StoredAccount } from "./accounts.ts";

/** The longest life of an assertion, in milliseconds. */
const maxLifeMs = 10 * 60_000;

const here = { address: "", transport: "" };
const assertionsPrefix = "auth/assertions/";

/**
 * Verifies JWTs that accounts have signed with their own keys (private_key_jwt, RFC 7523): issued
 * by the account for itself, meant for this issuer, at most ten minutes long, and usable once.
 */
export class Assertions {
  readonly #store: Store;
  readonly #accounts: Accounts;
  readonly #issuer: string;
  readonly #clock: AdvancingClock;

  constructor(store: Store, accounts: Accounts, issuer: string, clock: AdvancingClock) {
    this.#store = store;
    this.#accounts = accounts;
    this.#issuer = issuer;
    this.#clock = clock;
  }

  /** @throws MicroError `unauthenticated` with the reason; as the store. */
  async verify(assertion: string): Promise<StoredAccount> {
    const { sub } = parseToken(assertion).claims;
    const account = typeof sub === "string" ? await this.#accounts.find(sub) : undefined;
    if (account?.publicKey === undefined) {
      throw invalidCredential("there is no account with a key of its own by that id");
    }
    const reading = readJwk({ ...account.publicKey, kid: "account" });
    if (!("key" in reading)) throw invalidCredential("the key of the account cannot be used");
    const verifier = new TokenVerifier({
      profile: {
        issuer: account.id,
        audience: [this.#issuer],
        requiresAudience: true,
        algorithms: ["EdDSA"],
        types: ["", "jwt", "client-authentication+jwt"],
        requiresKeyId: false,
        requiredClaims: ["iat", "jti"],
      },
      keys: { key: () => reading.key, holds: () => true },
      defaultType: account.type,
      scopesOf: () => [],
      clock: this.#clock,
    });
    const proved = await verifier.verify({ scheme: "bearer", token: assertion }, here);
    if (proved?.id !== account.id) throw invalidCredential("the issuer is not the account itself");
    const leftMs = proved.expiresAtMs - this.#clock.now();
    if (leftMs > maxLifeMs + 2 * clockSkewMs)
      throw invalidCredential("the assertion lives too long");
    await this.#use(account.id, String(proved.claims.jti), leftMs);
    return account;
  }

  async #use(account: string, jti: string, leftMs: number): Promise<void> {
    const id = createHash("sha256")
      .update(JSON.stringify([account, jti]))
      .digest("base64url");
    try {
      const ttlMs = Math.max(1, leftMs) + clockSkewMs;
      await this.#store.write(assertionsPrefix + id, new Uint8Array(1), { ifVersion: 0n, ttlMs });
    } catch (error) {
      if (!isMicroError(error) || error.code !== "aborted") throw error;
      throw invalidCredential("the assertion was used before");
    }
  }
}
