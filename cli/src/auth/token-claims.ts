import { UsageError } from "../errors.ts";

/**
 * The claims of an access token, which nothing here verifies.
 *
 * @throws UsageError if the text is not a JSON Web Token.
 */
export function tokenClaims(token: string): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(
      Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"),
    );
    if (typeof claims === "object" && claims !== null) return claims as Record<string, unknown>;
  } catch {
    // The error below reports it, without the token.
  }
  throw new UsageError("that is not an access token: it is not a JSON Web Token");
}
