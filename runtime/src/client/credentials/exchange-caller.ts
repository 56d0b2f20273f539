import { createHash } from "node:crypto";
import type { Auth, SecretGrant } from "../../auth/auth.ts";
import { omitUndefined } from "../../base/omit-undefined.ts";
import { checkOptions, durationMs, object, part, texts } from "../../base/option-check.ts";
import type { CallContext } from "../../call/call.ts";
import type { CredentialSource } from "../../call/credential-source.ts";
import { callerCredential } from "./forward-caller.ts";
import { RenewedCredential } from "./renewed-credential.ts";
import { ServiceCredentials } from "./service-credentials.ts";
import { requestToken } from "./token-source.ts";

/** How to exchange the tokens of callers. */
export interface ExchangeCallerOptions {
  /** The account of this service, which acts for the caller. Default: the tokens name no actor. */
  readonly actor?: SecretGrant;
  /** A subset of the caller's scopes. Default: all of them. */
  readonly scopes?: readonly string[];
  /** Life of the tokens, in milliseconds. Default: the issuer's. */
  readonly ttlMs?: number;
}

/** The most callers whose exchanged tokens are kept. */
const maxCallers = 1_024;

/**
 * Exchanges the token of the caller whose call a handler serves for tokens that are each for one
 * service, and name this service as the actor (RFC 8693).
 *
 * @returns a function that creates the credentials of calls made on behalf of a call.
 *
 * @example
 * ```ts
 * import { type CallContext } from "@micro-es/runtime";
 * import { type Auth, exchangeCaller } from "@micro-es/runtime/auth";
 * import type { GreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * declare const auth: Auth;
 * declare const greeter: GreeterClient;
 * declare const context: CallContext;
 * const onBehalfOf = exchangeCaller(auth);
 * await greeter.hello({ name: "Ada" }, { context, credentials: onBehalfOf(context) });
 * ```
 */
export function exchangeCaller(
  auth: Pick<Auth, "token">,
  options: ExchangeCallerOptions = {},
): (context: CallContext) => CredentialSource {
  checkOptions(
    "exchangeCaller",
    { auth, ...options },
    {
      auth: part("an Auth", "localAuth({ store, issuer })", "token"),
      actor: object,
      scopes: texts,
      ttlMs: durationMs(1),
    },
  );
  const { actor, scopes, ttlMs } = options;
  const acting = actor && new RenewedCredential(() => requestToken(auth, actor, "any"));
  /** By a hash of the caller's token; the least recently used first. */
  const callers = new Map<string, CredentialSource>();
  return (context) => {
    const subjectToken = callerCredential(context)?.token;
    if (subjectToken === undefined) return { credential: () => undefined };
    const key = createHash("sha256").update(subjectToken).digest("base64url");
    const known = callers.get(key);
    const source =
      known ??
      new ServiceCredentials(true, async (service) => {
        const actorToken = (await acting?.get())?.token;
        const more = omitUndefined({ actorToken, scopes, ttlMs });
        const grant = { grant: "exchange", subjectToken, audience: service, ...more } as const;
        return requestToken(auth, grant, undefined);
      });
    callers.delete(key);
    callers.set(key, source);
    if (callers.size > maxCallers) {
      for (const oldest of callers.keys()) {
        callers.delete(oldest);
        break;
      }
    }
    return source;
  };
}
