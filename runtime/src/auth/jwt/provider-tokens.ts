import { invalidCredential } from "../refusals.ts";
import { isTable, type TokenTable } from "../token-form.ts";

/** Claims that OpenID Connect gives only to ID tokens, and RFC 8417 only to notices of events. */
const foreignClaims = ["nonce", "at_hash", "c_hash", "s_hash", "events"] as const;

/**
 * Claims that describe what was granted to a client, and how, so that ID tokens lack them: those of
 * OAuth, Okta (`scp`), Microsoft Entra (`azpacr`, `appidacr`) and Auth0 (`gty`).
 */
const grantClaims = ["scope", "scp", "azpacr", "appidacr", "gty"] as const;

/**
 * Checks that a token is an access token. Only the header `typ` of RFC 9068 states it; a provider's
 * own access tokens say `JWT` or nothing there, as ID tokens do, and both are signed by the same
 * keys. Their claims must then show it: a service that accepts ID tokens accepts those that users
 * show to every client of the provider.
 *
 * @param type the header `typ`, in lower case and without `application/`
 * @throws MicroError `unauthenticated` with the reason.
 */
export function checkIsAccessToken(type: string, claims: TokenTable): void {
  for (const name of foreignClaims) {
    if (claims[name] !== undefined) {
      throw invalidCredential(`the claim ${name} shows that this is not an access token`);
    }
  }
  const { token_use: use, typ } = claims;
  // Of Amazon Cognito, and of Keycloak.
  if (use !== undefined && use !== "access") throw ofAnotherUse("token_use", use, "access");
  if (typ !== undefined && typ !== "Bearer") throw ofAnotherUse("typ", typ, "Bearer");
  if (type === "at+jwt" || use !== undefined || typ !== undefined) return;
  if (grantClaims.some((name) => claims[name] !== undefined) || isForAnother(claims)) return;
  throw invalidCredential(
    `no claim shows that this is an access token and not an ID token; one of ${grantClaims.join(", ")} would, or the header typ at+jwt`,
  );
}

/** Whether the token names the client that got it, and is meant for another party. */
function isForAnother({ client_id: client, cid = client, aud }: TokenTable): boolean {
  return typeof cid === "string" && ![aud].flat().includes(cid);
}

function ofAnotherUse(name: string, value: unknown, expected: string): Error {
  const shown = isTable(value) ? "an object" : JSON.stringify(value)?.slice(0, 40);
  return invalidCredential(
    `the claim ${name} is ${shown}, and access tokens have ${JSON.stringify(expected)}`,
  );
}

/**
 * The scopes that a provider's token states: the claim `scope`, `scp` or `scopes`, as a list or
 * separated by spaces.
 *
 * @throws MicroError `unauthenticated` if it is neither.
 */
export function providerScopes(claims: TokenTable): readonly string[] {
  const name = (["scope", "scp", "scopes"] as const).find((it) => claims[it] !== undefined);
  if (name === undefined) return [];
  const value = claims[name];
  if (typeof value === "string") return value.split(" ").filter((it) => it !== "");
  if (Array.isArray(value) && value.every((it) => typeof it === "string")) return value;
  throw invalidCredential(`the claim ${name} must be a string or a list of strings`);
}
