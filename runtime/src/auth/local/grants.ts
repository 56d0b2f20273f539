import { asMicroError, MicroError } from "../../base/error.ts";
import type { Account } from "../../call/account.ts";
import type { AdvancingClock } from "../advancing-clock.ts";
import type { AuditTrail } from "../audit.ts";
import type {
  AssertionGrant,
  ExchangeGrant,
  RefreshGrant,
  SecretGrant,
  Token,
  TokenGrant,
  TokenOptions,
} from "../auth.ts";
import { checkTokenOptions } from "../issuing-options.ts";
import { invalidCredential } from "../refusals.ts";
import { type Accounts, isAccountId, ownClaims, type StoredAccount } from "./accounts.ts";
import type { Assertions } from "./assertions.ts";
import type { FailureLimit } from "./failure-limit.ts";
import { actorClaim, issueToken, lifeOf, type TokenContent } from "./issue-token.ts";
import { randomId } from "./random-id.ts";
import type { RefreshTokens } from "./refresh-tokens.ts";
import type { SecretHasher } from "./secret-hasher.ts";
import type { Signer } from "./signing-keys.ts";

/** What {@link Grants} are made of. */
export interface GrantParts {
  readonly issuer: string;
  /** The audience of tokens for which none is asked. */
  readonly audience: readonly string[];
  readonly accounts: Accounts;
  readonly hasher: SecretHasher;
  readonly limit: FailureLimit;
  readonly assertions: Assertions;
  readonly refreshTokens: RefreshTokens;
  readonly signer: () => Promise<Signer>;
  /** The account of an access token. @throws MicroError as `Auth.inspect` */
  readonly inspect: (token: string) => Promise<Account | undefined>;
  readonly audit: AuditTrail;
  readonly clock: AdvancingClock;
}

/** The longest life of a token by exchange, in milliseconds. */
const exchangedLifeMs = 5 * 60_000;
const maxAudience = 32;
const maxSecretLength = 1_024;

/** Issues tokens for secrets, refresh tokens, assertions and other tokens. */
export class Grants {
  readonly #parts: GrantParts;

  constructor(parts: GrantParts) {
    this.#parts = parts;
  }

  /** @throws MicroError as `Auth.token` */
  async token(grant: TokenGrant): Promise<Token> {
    try {
      checkTokenOptions("localAuth", grant);
      checkAudience(grant);
      switch (grant.grant) {
        case "secret":
          return await this.#bySecret(grant);
        case "refresh":
          return await this.#byRefreshToken(grant);
        case "assertion":
          return await this.#byAssertion(grant);
        case "exchange":
          return await this.#byExchange(grant);
        default:
          throw new MicroError(
            "unimplemented",
            "there is no such grant; use secret, refresh, assertion or exchange",
            { outcome: "not-executed" },
          );
      }
    } catch (reason) {
      const error = asMicroError(reason, "internal");
      if (error.code !== "unauthenticated") throw error;
      this.#parts.audit.write({ event: "refused", reason: error.message, resource: "token" });
      // One text for all reasons, which would tell which accounts there are.
      throw new MicroError("unauthenticated", "the grant is not valid", {
        outcome: "not-executed",
      });
    }
  }

  async #bySecret(grant: SecretGrant): Promise<Token> {
    const { accounts, hasher, limit } = this.#parts;
    const { id, secret } = grant;
    if (!isAccountId(id) || typeof secret !== "string" || secret.length > maxSecretLength) {
      throw invalidCredential("the id or the secret is malformed");
    }
    let account: StoredAccount | undefined;
    const isValid = await limit.attempt(id, async () => {
      account = await accounts.find(id);
      return hasher.verify(secret, account?.secret);
    });
    if (!isValid || account === undefined) {
      throw invalidCredential(`the secret for the account ${JSON.stringify(id)} is wrong`);
    }
    return this.#forAccount(account, grant);
  }

  async #byAssertion(grant: AssertionGrant): Promise<Token> {
    if (typeof grant.assertion !== "string") throw invalidCredential("the assertion is malformed");
    return this.#forAccount(await this.#parts.assertions.verify(grant.assertion), grant);
  }

  /** A service asks again by its secret or key; anything else gets a refresh token. */
  async #forAccount(account: StoredAccount, grant: TokenOptions): Promise<Token> {
    const { refreshTokens, clock } = this.#parts;
    const scopes = within(account.scopes, grant.scopes);
    const audience = audienceOf(grant) ?? this.#parts.audience;
    const lifeMs = lifeOf(account.type, grant.ttlMs);
    if (account.type === "service") return this.#issue(account, { scopes, audience, lifeMs });
    const family = randomId(16);
    const { id, incarnation } = account;
    const token = await this.#issue(account, { scopes, audience, lifeMs, family });
    const entitlement = { account: id, incarnation, scopes, audience };
    const refreshToken = await refreshTokens.begin(entitlement, family, clock.now());
    return { ...token, refreshToken };
  }

  async #byRefreshToken(grant: RefreshGrant): Promise<Token> {
    const { accounts, refreshTokens, clock } = this.#parts;
    if (typeof grant.refreshToken !== "string") throw invalidCredential("there is no token");
    const found = await refreshTokens.find(grant.refreshToken, clock.now());
    if (typeof found === "string") throw invalidCredential(found);
    const account = await accounts.find(found.account);
    if (account?.incarnation !== found.incarnation) {
      throw invalidCredential("the account of the refresh token is gone");
    }
    const stillHeld = found.scopes.filter((scope) => account.scopes.includes(scope));
    const scopes = within(stillHeld, grant.scopes);
    const audience = audienceOf(grant) ?? found.audience;
    requireAudience(audience, found.audience);
    const lifeMs = lifeOf(account.type, grant.ttlMs);
    if (!(await found.redeem())) throw invalidCredential("the refresh token was used twice");
    const { family } = found;
    const token = await this.#issue(account, { scopes, audience, lifeMs, family });
    return { ...token, refreshToken: await found.successor() };
  }

  /**
   * Without the token of an actor, audience and scopes of a token can only be narrowed: otherwise a
   * service to which a token was sent could get one for any other service.
   */
  async #byExchange(grant: ExchangeGrant): Promise<Token> {
    const { issuer, clock } = this.#parts;
    const subject = await this.#inspect(grant.subjectToken);
    const actor =
      grant.actorToken === undefined ? undefined : await this.#inspect(grant.actorToken);
    const audience = audienceOf(grant);
    if (audience?.length !== 1) {
      throw new MicroError("invalid_argument", "an exchange needs an audience of one service", {
        outcome: "not-executed",
      });
    }
    if (actor === undefined) requireAudience(audience, [subject.claims.aud].flat() as string[]);
    const leftMs = Number(subject.claims.exp) * 1_000 - clock.now();
    const { act, inc, sid } = subject.claims;
    const content: TokenContent = {
      issuer,
      subject: subject.id,
      type: subject.type,
      scopes: within([...subject.scopes], grant.scopes),
      audience,
      claims: ownClaims(subject.claims),
      incarnation: typeof inc === "string" ? inc : undefined,
      ...(typeof sid === "string" && { family: sid }),
      ...(actor !== undefined
        ? { actor: actorClaim(actor, subject) }
        : act !== undefined && { actor: act as Readonly<Record<string, unknown>> }),
      lifeMs: lifeOf(subject.type, grant.ttlMs, Math.min(exchangedLifeMs, Math.max(0, leftMs))),
    };
    return this.#sign(content);
  }

  async #inspect(token: unknown): Promise<Account> {
    const account = typeof token === "string" ? await this.#parts.inspect(token) : undefined;
    if (account === undefined) throw invalidCredential("it is not a token of this issuer");
    return account;
  }

  #issue(
    { id, type, claims, incarnation }: StoredAccount,
    content: Pick<TokenContent, "scopes" | "audience" | "lifeMs" | "family">,
  ): Promise<Token> {
    const { issuer } = this.#parts;
    return this.#sign({ issuer, subject: id, type, claims, incarnation, ...content });
  }

  async #sign(content: TokenContent): Promise<Token> {
    const { signer, audit, clock } = this.#parts;
    const token = await issueToken(content, await signer(), clock.now());
    audit.write({
      event: "issued",
      resource: "token",
      account: { id: content.subject, issuer: content.issuer, claims: { jti: token.id } },
    });
    const { text: accessToken, expiresAtMs } = token;
    return { accessToken, expiresAtMs, scopes: content.scopes };
  }
}

/** @throws MicroError `permission_denied` for scopes that are not held. */
function within(held: readonly string[], asked: readonly string[] | undefined): readonly string[] {
  if (asked === undefined) return held;
  const missing = asked.find((scope) => !held.includes(scope));
  if (missing === undefined) return [...new Set(asked)];
  throw new MicroError("permission_denied", `the account does not have the scope ${missing}`, {
    outcome: "not-executed",
  });
}

function requireAudience(asked: readonly string[], granted: readonly string[]): void {
  const other = asked.find((name) => !granted.includes(name));
  if (other === undefined) return;
  throw new MicroError(
    "permission_denied",
    `the token cannot be for ${other}, because the one that was presented is not`,
    { outcome: "not-executed" },
  );
}

function audienceOf({ audience }: TokenOptions): readonly string[] | undefined {
  return audience === undefined ? undefined : [audience].flat();
}

/** @throws MicroError `invalid_argument` */
function checkAudience(grant: TokenOptions): void {
  const audience = audienceOf(grant);
  if (
    audience === undefined ||
    (audience.length > 0 &&
      audience.length <= maxAudience &&
      audience.every((name) => typeof name === "string" && /^[\x21-\x7e]{1,256}$/.test(name)))
  ) {
    return;
  }
  throw new MicroError(
    "invalid_argument",
    `audience must be the name of a service, or a list of at most ${maxAudience} names`,
    { outcome: "not-executed" },
  );
}
