import { MicroError } from "../../base/error.ts";
import { checkOptions } from "../../base/option-check.ts";
import { context as contextKind } from "../../base/option-kinds.ts";
import type { Credential } from "../../call/account.ts";
import { type CallContext, ServerCall } from "../../call/call.ts";
import type { CredentialSource } from "../../call/credential-source.ts";
import { credentialOf } from "../../transport/admission.ts";
import { BearerCredential } from "./bearer-credential.ts";
import { services, type TokenServicesOptions } from "./static-token.ts";

/**
 * Presents the token of the caller whose call a handler serves, to the services in its audience.
 * Calls of other services fail: a service that could use every token that it sees would be all of
 * its users. Prefer `exchangeCaller`, whose tokens are for one service and name the actor.
 *
 * A caller without a token is forwarded as one: the call presents nothing.
 *
 * @example
 * ```ts
 * import { type CallContext } from "@micro-es/runtime";
 * import { forwardCaller } from "@micro-es/runtime/auth";
 * import type { GreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * declare const greeter: GreeterClient;
 * declare const context: CallContext;
 * await greeter.hello({ name: "Ada" }, { context, credentials: forwardCaller(context) });
 * ```
 */
export function forwardCaller(
  context: CallContext,
  options: TokenServicesOptions = {},
): CredentialSource {
  checkOptions("forwardCaller", { context, ...options }, { context: contextKind, services });
  const token = callerCredential(context)?.token;
  const credential =
    token === undefined ? undefined : new BearerCredential(token, options.services);
  if (credential !== undefined && credential.services === undefined && options.services !== "any") {
    throw new MicroError(
      "failed_precondition",
      "forwardCaller: the caller's token does not state its audience; set the option services to the services that may receive it",
      { outcome: "not-executed" },
    );
  }
  return { credential: () => credential };
}

/** The credential that came with a call; undefined without one. */
export function callerCredential(context: CallContext): Credential | undefined {
  const apart = context instanceof ServerCall ? context.credential : undefined;
  return apart ?? credentialOf(context.requestMetadata);
}
