import { tokenClaims } from "./token-claims.ts";
import { readToken, type TokenOptions } from "./token-options.ts";

/**
 * What a user can do about a call that was refused to its caller; undefined for any other error.
 *
 * @param reason what the command threw
 */
export async function callerAdvice(
  reason: unknown,
  options: TokenOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  if (!(reason instanceof Error) || !("code" in reason)) return undefined;
  const { code, message } = reason;
  if (code === "failed_precondition" && message.includes("credentialPolicy.allowPlaintext")) {
    return "micro reads that list from MICRO_TOKEN_PLAINTEXT, such as 10.0.0.0/8";
  }
  // A handler that refuses has words of its own.
  if (message.endsWith(": the caller may not do this")) return scopeAdvice(message);
  if (!message.endsWith(": the call needs a valid credential")) return undefined;
  const token = await readToken(options, environment);
  return token === undefined
    ? "set MICRO_TOKEN to an access token, or pass --token-file; `micro auth token` issues one"
    : `${stated(token)}; the log of the service has the reason`;
}

function scopeAdvice(message: string): string {
  if (message.startsWith("grpc.reflection.")) {
    return "reading the schema of a service needs the scope micro.reflect; --proto and --descriptor-set read it from files";
  }
  if (message.startsWith("micro.debug.")) return "this needs the scope micro.debug";
  return "`micro auth whoami` shows the scopes of the token, and `micro describe` those that methods require";
}

function stated(token: string): string {
  try {
    const { exp, aud } = tokenClaims(token);
    if (typeof exp === "number" && exp * 1_000 <= Date.now()) {
      return `the token has expired at ${new Date(exp * 1_000).toISOString()}`;
    }
    const audience = [aud ?? []].flat().join(", ");
    return `the token is for ${audience || "no service"}, which has to be the service or its issuer`;
  } catch {
    return "the token is not a JSON Web Token";
  }
}
