import type { MicroError } from "../base/error.ts";
import type { AdvancingClock } from "./advancing-clock.ts";
import type { AuthAlgorithm } from "./auth.ts";
import { invalidCredential } from "./refusals.ts";
import type { TokenTable } from "./token-form.ts";

/** What tokens of one issuer must look like. */
export interface TokenProfile {
  /** Compared exactly with the claim `iss`. */
  readonly issuer: string;
  /**
   * Names of this service: the claim `aud` must contain one of them. An empty list refuses tokens
   * that have an audience.
   */
  readonly audience: readonly string[];
  /** Whether a token without the claim `aud` is refused. */
  readonly requiresAudience: boolean;
  readonly algorithms: readonly AuthAlgorithm[];
  /** Accepted values of the header `typ`, in lower case and without `application/`. */
  readonly types: readonly string[];
  /** Whether a token must name its key by the header `kid`. */
  readonly requiresKeyId: boolean;
  /** Claims that must be there, in addition to `iss`, `sub` and `exp`. */
  readonly requiredClaims: readonly ("iat" | "jti")[];
  /**
   * Checks that a token of this type with these claims is for callers, where the type alone does
   * not say so. Throws MicroError `unauthenticated` with the reason.
   */
  readonly checkPurpose?: (type: string, claims: TokenTable) => void;
}

/** How far clocks of issuer and verifier may differ, in milliseconds. */
export const clockSkewMs = 30_000;
/** The longest life of a token, in milliseconds. */
export const maxTokenLifeMs: number = 24 * 60 * 60 * 1_000;

const maxKeyIdLength = 64;
/** The longest `sub` and `jti`. */
const maxIdLength = 256;

/** A header that complies with a profile. */
export interface CheckedHeader {
  readonly algorithm: AuthAlgorithm;
  /** The header `typ`, in lower case and without `application/`; empty if there is none. */
  readonly type: string;
  readonly keyId: string | undefined;
}

/** Claims that comply with a profile. Times are in milliseconds since 1970. */
export interface CheckedClaims {
  readonly subject: string;
  /** The end of the token, with the tolerance for clocks that differ. */
  readonly acceptedUntilMs: number;
}

const algorithmByName: ReadonlyMap<unknown, AuthAlgorithm> = new Map([
  ["EdDSA", "EdDSA"],
  // The name by RFC 9864; the signature is the same.
  ["Ed25519", "EdDSA"],
  ["ES256", "ES256"],
  ["RS256", "RS256"],
]);

/** The algorithm that a token or a key names; undefined for all that are not accepted. */
export function algorithmNamed(name: unknown): AuthAlgorithm | undefined {
  return algorithmByName.get(name);
}

/** @throws MicroError `unauthenticated` with the reason. */
export function checkHeader(header: TokenTable, profile: TokenProfile): CheckedHeader {
  const { alg, kid, typ } = header;
  const algorithm = algorithmNamed(alg);
  if (algorithm === undefined || !profile.algorithms.includes(algorithm)) {
    throw invalidCredential(
      `the algorithm ${shown(alg)} is not one of ${profile.algorithms.join(", ")}`,
    );
  }
  const type = typeNamed(typ);
  if (type === undefined || !profile.types.includes(type)) {
    const types = profile.types.map((it) => it || "absent").join(" or ");
    throw invalidCredential(`the header typ is ${shown(typ)}, not ${types}`);
  }
  if (kid === undefined && !profile.requiresKeyId) return { algorithm, type, keyId: undefined };
  if (typeof kid !== "string" || kid === "" || kid.length > maxKeyIdLength) {
    throw invalidCredential(
      `the header kid must be a string of 1 to ${maxKeyIdLength} characters that names the key`,
    );
  }
  return { algorithm, type, keyId: kid };
}

/** A `typ` in lower case and without `application/`; undefined for what is not a string. */
function typeNamed(typ: unknown): string | undefined {
  if (typ === undefined) return "";
  return typeof typ === "string" ? typ.toLowerCase().replace(/^application\//, "") : undefined;
}

/**
 * Checks the claims that need no signature: issuer, audience and times.
 *
 * @throws MicroError `unauthenticated` with the reason.
 */
export function checkClaims(
  claims: TokenTable,
  profile: TokenProfile,
  clock: AdvancingClock,
): CheckedClaims {
  const nowMs = clock.now();
  const { iss, sub, jti } = claims;
  if (iss !== profile.issuer) {
    throw invalidCredential(`the issuer is ${shown(iss)}, not ${shown(profile.issuer)}`);
  }
  checkAudience(claims, profile);
  const subject = identifier("sub", sub);
  if (jti !== undefined || profile.requiredClaims.includes("jti")) identifier("jti", jti);
  const expiry = time("exp", claims.exp);
  const issued =
    claims.iat === undefined && !profile.requiredClaims.includes("iat")
      ? undefined
      : time("iat", claims.iat);
  if (expiry + clockSkewMs <= nowMs) throw expired(clock);
  if (issued !== undefined && issued > nowMs + clockSkewMs) {
    throw invalidCredential("the token was issued in the future (iat)");
  }
  // Without iat, the rest of its life.
  const life = expiry - (issued ?? nowMs + clockSkewMs);
  if (life > maxTokenLifeMs || (issued !== undefined && life <= 0)) {
    throw invalidCredential(
      `the token's life (exp - iat) must be positive and at most ${maxTokenLifeMs / 3_600_000} hours`,
    );
  }
  if (claims.nbf !== undefined && time("nbf", claims.nbf) > nowMs + clockSkewMs) {
    throw invalidCredential("the token is not valid yet (nbf)");
  }
  return { subject, acceptedUntilMs: expiry + clockSkewMs };
}

/** A clock that was wrong for a moment, and is right again, makes all tokens expired. */
function expired({ setBackMs }: AdvancingClock): MicroError {
  if (setBackMs <= clockSkewMs) return invalidCredential("the token has expired");
  const seconds = Math.round(setBackMs / 1_000);
  return invalidCredential(
    `the token has expired by a clock that was set back by ${seconds} s since, which revives no token: if it was wrong before, restart the service`,
  );
}

function checkAudience({ aud }: TokenTable, { audience, requiresAudience }: TokenProfile): void {
  if (aud === undefined && !requiresAudience) return;
  const stated = typeof aud === "string" ? [aud] : aud;
  if (!Array.isArray(stated) || stated.some((it) => typeof it !== "string")) {
    throw invalidCredential("the claim aud must be a string or a list of strings");
  }
  if (!audience.some((name) => stated.includes(name))) {
    const names = audience.length === 0 ? "no audience" : audience.join(" or ");
    throw invalidCredential(`the token is for ${shown(aud)}, and this service is ${names}`);
  }
}

function identifier(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= maxIdLength) return value;
  throw invalidCredential(`the claim ${name} must be a string of 1 to ${maxIdLength} characters`);
}

/** A time in milliseconds since 1970. */
function time(name: string, value: unknown): number {
  const ms = typeof value === "number" ? value * 1_000 : Number.NaN;
  if (Number.isSafeInteger(Math.trunc(ms)) && ms >= 0) return ms;
  throw invalidCredential(`the claim ${name} must be a number of seconds since 1970`);
}

/** A value of a token in a message, cut so that a token cannot fill a log. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "absent").slice(0, 100);
}
