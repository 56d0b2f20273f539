/**
 * Returns the audience that a token states: names of the services that it is for. Undefined if the
 * token is not a JWT, or states none. Nothing is verified: this is for whoever holds the token and
 * is about to send it.
 */
export function audienceOf(token: string): readonly string[] | undefined {
  const [, payload, , ...rest] = token.split(".");
  if (payload === undefined || rest.length > 0) return undefined;
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof claims !== "object" || claims === null || !("aud" in claims)) return undefined;
  const audience = [claims.aud].flat();
  return audience.filter((name) => typeof name === "string");
}
