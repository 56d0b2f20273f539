import { X509Certificate } from "node:crypto";
import type { Account, AccountProof } from "../call/account.ts";
import type { Peer, PeerCertificate } from "../call/call.ts";
import { invalidCredential } from "./refusals.ts";
import { isTable, type TokenTable } from "./token-form.ts";

/** How a credential was bound to the connection that presented it. */
export interface Binding {
  readonly provenBy: AccountProof;
  /** When the certificate ends that the token is bound to; in milliseconds since 1970. */
  readonly endsAtMs: number;
}

const unbound: Binding = { provenBy: "token", endsAtMs: Number.POSITIVE_INFINITY };
/** How many actors may act for each other. */
const maxActors = 4;

/**
 * Checks the claim `cnf` of a token that only its owner may present (RFC 8705).
 *
 * @throws MicroError `unauthenticated` if the peer does not prove to be the owner.
 */
export function checkBinding({ cnf }: TokenTable, { certificate }: Peer): Binding {
  if (cnf === undefined) return unbound;
  const thumbprint = isTable(cnf) && Object.keys(cnf).length === 1 ? cnf["x5t#S256"] : undefined;
  if (typeof thumbprint !== "string") {
    throw invalidCredential(
      "the token is bound by its claim cnf to something other than a certificate (x5t#S256)",
    );
  }
  if (certificate === undefined || certificate.fingerprint !== thumbprint) {
    throw invalidCredential(
      "the token is bound to a certificate that this connection does not have",
    );
  }
  return { provenBy: "token+certificate", endsAtMs: endOf(certificate) };
}

const ends = new WeakMap<PeerCertificate, number>();

function endOf(certificate: PeerCertificate): number {
  let end = ends.get(certificate);
  if (end === undefined) {
    end = Date.parse(new X509Certificate(certificate.chain[0] ?? new Uint8Array()).validTo);
    ends.set(certificate, end);
  }
  return end;
}

/**
 * The scopes that a token states: the claim `scope`, separated by spaces (RFC 9068), or the list
 * `scopes`.
 *
 * @throws MicroError `unauthenticated` if one of them is neither.
 */
export function statedScopes({ scope, scopes }: TokenTable): readonly string[] {
  if (scope !== undefined) {
    if (typeof scope !== "string") throw invalidCredential("the claim scope must be a string");
    return scope.split(" ").filter((it) => it !== "");
  }
  if (scopes === undefined) return [];
  if (!Array.isArray(scopes) || scopes.some((it) => typeof it !== "string")) {
    throw invalidCredential("the claim scopes must be a list of strings");
  }
  return scopes;
}

/** What an account gets from the claims of its token, besides the claims themselves. */
export interface AccountParts {
  readonly id: string;
  readonly issuer: string;
  readonly scopes: readonly string[];
  /** The type of an account whose token states none. */
  readonly defaultType: string;
  readonly acceptedUntilMs: number;
  readonly binding: Binding;
}

/**
 * The account that verified claims state.
 * @throws MicroError `unauthenticated` if the claims `type` or `act` are malformed.
 */
export function accountOf(claims: TokenTable, parts: AccountParts): Account {
  const { id, issuer, scopes, defaultType, acceptedUntilMs, binding } = parts;
  const { act } = claims;
  // Go writes a text that is not set as an empty one.
  const type = claims.type === undefined || claims.type === "" ? defaultType : claims.type;
  if (typeof type !== "string") throw invalidCredential("the claim type must be a string");
  const account = {
    id,
    type,
    issuer,
    scopes: new Set(scopes),
    claims: Object.freeze(claims),
    expiresAtMs: Math.min(acceptedUntilMs, binding.endsAtMs),
    provenBy: binding.provenBy,
  };
  return act === undefined ? account : { ...account, actor: actorOf(act, account, maxActors) };
}

/** The account that acts for another one (RFC 8693). It has no scopes of its own here. */
function actorOf(act: unknown, subject: Account, depth: number): Account {
  if (!isTable(act) || typeof act.sub !== "string" || act.sub === "" || depth === 0) {
    throw invalidCredential("the claim act must be an object with a sub, and not too deep");
  }
  const { sub, iss = subject.issuer, act: next } = act;
  if (typeof iss !== "string")
    throw invalidCredential("the issuer of the claim act is not a string");
  const actor = {
    id: sub,
    type: typeof act.type === "string" ? act.type : "service",
    issuer: iss,
    scopes: new Set<string>(),
    claims: Object.freeze(act),
    expiresAtMs: subject.expiresAtMs,
    provenBy: subject.provenBy,
  };
  return next === undefined ? actor : { ...actor, actor: actorOf(next, actor, depth - 1) };
}
