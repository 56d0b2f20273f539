import type { Auth, TokenGrant } from "../../auth/auth.ts";
import { MicroError } from "../../base/error.ts";
import { checkOptions, object, part } from "../../base/option-check.ts";
import type { CredentialSource } from "../../call/credential-source.ts";
import { BearerCredential } from "./bearer-credential.ts";
import type { IssuedUntil } from "./renewed-credential.ts";
import { ServiceCredentials } from "./service-credentials.ts";
import { services, type TokenServicesOptions } from "./static-token.ts";

/**
 * Presents tokens that an `Auth` issues for a grant, and requests their successors in time. Unless
 * the grant has an `audience`, each called service gets a token that is only for that service.
 *
 * @example
 * ```ts
 * import { createClient } from "@micro-es/runtime";
 * import { type Auth, tokenSource } from "@micro-es/runtime/auth";
 *
 * declare const auth: Auth;
 * const secret = process.env.ORDER_SECRET ?? "";
 * const client = createClient({
 *   credentials: tokenSource(auth, { grant: "secret", id: "order", secret }),
 * });
 * ```
 */
export function tokenSource(
  auth: Pick<Auth, "token">,
  grant: TokenGrant,
  options: TokenServicesOptions = {},
): CredentialSource {
  checkOptions(
    "tokenSource",
    { auth, grant, ...options },
    {
      auth: part("an Auth", "localAuth({ store, issuer })", "token"),
      grant: object,
      services,
    },
  );
  if (grant.grant !== "refresh") {
    return new ServiceCredentials(grant.audience === undefined, (service) =>
      requestToken(auth, withAudience(grant, service), options.services),
    );
  }
  if (grant.audience === undefined) {
    throw new MicroError(
      "invalid_argument",
      "tokenSource: a refresh token is usable once, and thus not for a token for each service; set grant.audience",
      { outcome: "not-executed" },
    );
  }
  let { refreshToken } = grant;
  return new ServiceCredentials(false, () =>
    requestToken(auth, { ...grant, refreshToken }, options.services, (successor) => {
      refreshToken = successor;
    }),
  );
}

function withAudience<Grant extends TokenGrant>(grant: Grant, service: string): Grant {
  return grant.audience === undefined ? { ...grant, audience: service } : grant;
}

/** Requests a token. */
export async function requestToken(
  auth: Pick<Auth, "token">,
  grant: TokenGrant,
  allowed: TokenServicesOptions["services"],
  keepRefreshToken?: (refreshToken: string) => void,
): Promise<IssuedUntil> {
  const { accessToken, refreshToken, expiresAtMs } = await auth.token(grant);
  if (refreshToken !== undefined) keepRefreshToken?.(refreshToken);
  const audience = grant.audience === undefined ? undefined : [grant.audience].flat();
  return {
    credential: new BearerCredential(accessToken, allowed ?? audience),
    validMs: expiresAtMs - Date.now(),
  };
}
