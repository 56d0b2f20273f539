import type { Account, Credential } from "../call/account.ts";
import type { Peer } from "../call/call.ts";
import { AdvancingClock } from "./advancing-clock.ts";
import { perhapsValidLater } from "./identity-cache.ts";
import { invalidCredential } from "./refusals.ts";
import { signatures } from "./signature-queue.ts";
import { accountOf, checkBinding, statedScopes } from "./token-account.ts";
import { isDotted, parseToken, type TokenTable } from "./token-form.ts";
import { checkClaims, checkHeader, type TokenProfile } from "./token-policy.ts";
import { isSignedBy } from "./token-signature.ts";
import type { KeySource, VerificationKey } from "./verification-key.ts";

/** What a {@link TokenVerifier} is made of. */
export interface TokenVerification {
  readonly profile: TokenProfile;
  readonly keys: KeySource;
  /** The issuer of accounts. Default: that of the tokens. */
  readonly accountIssuer?: string;
  /** Type of accounts whose token states none. */
  readonly defaultType: string;
  /** Default: the claim `scope` or `scopes`. */
  readonly scopesOf?: (claims: TokenTable) => readonly string[];
  readonly clock?: AdvancingClock;
}

/**
 * Verifies tokens of one issuer. Everything that needs no key is checked first, so that nonsense
 * costs neither a signature nor a request for keys.
 */
export class TokenVerifier {
  readonly #parts: TokenVerification;
  readonly #clock: AdvancingClock;
  /** The key that has signed the token of an account. */
  readonly #signers = new WeakMap<Account, VerificationKey>();

  constructor(parts: TokenVerification) {
    this.#parts = parts;
    this.#clock = parts.clock ?? new AdvancingClock();
  }

  /**
   * Returns the account that a token proves; undefined if it is not a token of this issuer.
   *
   * @throws MicroError `unauthenticated` with the reason; `unavailable` if the keys are not known.
   */
  async verify({ token }: Credential, peer: Peer): Promise<Account | undefined> {
    if (token !== "" && !isDotted(token)) return undefined;
    const { profile, keys, accountIssuer, defaultType, scopesOf = statedScopes } = this.#parts;
    const { header, claims, signature } = parseToken(token);
    if (typeof claims.iss === "string" && claims.iss !== profile.issuer) return undefined;
    const { algorithm, type, keyId } = checkHeader(header, profile);
    const { subject, acceptedUntilMs } = checkClaims(claims, profile, this.#clock);
    profile.checkPurpose?.(type, claims);
    const binding = checkBinding(claims, peer);
    const key = await keys.key(keyId);
    if (key === undefined) {
      throw perhapsValidLater(
        invalidCredential(`the issuer has no key ${JSON.stringify(keyId ?? "")}`),
      );
    }
    if (key.algorithm !== algorithm) {
      throw invalidCredential(`the key is for ${key.algorithm}, and the token says ${algorithm}`);
    }
    const isValid =
      key.signatureBytes === signature.length &&
      (await signatures.run(peer, () => isSignedBy(token, key)));
    if (!isValid) {
      throw invalidCredential("the signature does not verify");
    }
    if (!keys.holds(key)) throw invalidCredential("the key has been removed by its issuer");
    const account = accountOf(claims, {
      id: subject,
      issuer: accountIssuer ?? profile.issuer,
      scopes: scopesOf(claims),
      defaultType,
      acceptedUntilMs,
      binding,
    });
    this.#signers.set(account, key);
    return account;
  }

  /** The key that has signed the token of an account; undefined for an account of another Auth. */
  signerOf(account: Account): VerificationKey | undefined {
    return this.#signers.get(account);
  }
}
