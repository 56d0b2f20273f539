import { MicroError } from "../../base/error.ts";
import type { Account } from "../../call/account.ts";
import { maxTokenLifeMs } from "../token-policy.ts";
import { signedToken } from "../token-signature.ts";
import { randomId } from "./random-id.ts";
import type { Signer } from "./signing-keys.ts";

/** The account that an access token is for, and its rights. */
export interface TokenContent {
  readonly issuer: string;
  readonly subject: string;
  readonly type: string;
  readonly scopes: readonly string[];
  readonly audience: readonly string[];
  /** The account's own claims. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly incarnation: string | undefined;
  /** The family of refresh tokens that ends it. */
  readonly family?: string;
  readonly actor?: Readonly<Record<string, unknown>>;
  readonly lifeMs: number;
}

/** An access token. */
export interface AccessToken {
  readonly text: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Life of an access token of a service, and of others, in milliseconds. */
const serviceLifeMs = 5 * 60_000;
const otherLifeMs = 15 * 60_000;
const minLifeMs = 1_000;

/**
 * The life of a token.
 * @param most the longest life, in milliseconds
 * @throws MicroError `invalid_argument` for one that is out of bounds.
 */
export function lifeOf(
  type: string,
  ttlMs: number | undefined,
  most: number = maxTokenLifeMs,
): number {
  if (ttlMs === undefined) return Math.min(type === "service" ? serviceLifeMs : otherLifeMs, most);
  if (typeof ttlMs === "number" && ttlMs >= minLifeMs && ttlMs <= maxTokenLifeMs) {
    return Math.min(ttlMs, most);
  }
  throw new MicroError(
    "invalid_argument",
    `ttlMs must be a duration in milliseconds from ${minLifeMs} to ${maxTokenLifeMs}`,
    { outcome: "not-executed" },
  );
}

/** Signs an access token (RFC 9068). */
export async function issueToken(
  content: TokenContent,
  { id: kid, algorithm: alg, key }: Signer,
  nowMs: number,
): Promise<AccessToken> {
  const { issuer, subject, type, scopes, audience, claims, incarnation, family, actor } = content;
  const id = randomId(16);
  const issuedAt = Math.floor(nowMs / 1_000);
  const expiresAt = issuedAt + Math.max(1, Math.round(content.lifeMs / 1_000));
  const payload = {
    ...claims,
    iss: issuer,
    sub: subject,
    aud: audience.length === 1 ? audience[0]! : [...audience],
    iat: issuedAt,
    exp: expiresAt,
    jti: id,
    type,
    scope: scopes.join(" "),
    ...(incarnation !== undefined && { inc: incarnation }),
    ...(family !== undefined && { sid: family }),
    ...(actor !== undefined && { act: actor }),
  };
  const text = await signedToken({ alg, kid, typ: "at+jwt" }, payload, key);
  return { text, id, expiresAtMs: expiresAt * 1_000 };
}

/** The claim `act` of a token with which one account acts for another (RFC 8693). */
export function actorClaim(actor: Account, subject: Account): Readonly<Record<string, unknown>> {
  const { act } = subject.claims;
  return {
    sub: actor.id,
    iss: actor.issuer,
    type: actor.type,
    ...(act !== undefined && { act }),
  };
}
