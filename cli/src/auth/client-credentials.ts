import type { CredentialSource } from "@micro-es/runtime";
import { readToken, type TokenOptions } from "./token-options.ts";

/** Options of a client that presents a token. */
export interface ClientCredentials {
  readonly credentials?: CredentialSource;
  readonly credentialPolicy?: { readonly allowPlaintext: readonly string[] };
}

/**
 * Has a client present the token of `--token-file` or `MICRO_TOKEN`, to whatever the command calls.
 * The client holds it back from servers that it cannot verify: `MICRO_TOKEN_PLAINTEXT` lists
 * addresses that may get it all the same.
 *
 * @throws UsageError as {@link readToken}; MicroError for a text that cannot be a token.
 */
export async function clientCredentials(
  options: TokenOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ClientCredentials> {
  const token = await readToken(options, environment);
  if (token === undefined) return {};
  const { staticToken } = await import("@micro-es/runtime");
  const places = (environment.MICRO_TOKEN_PLAINTEXT ?? "").split(/[\s,]+/);
  return {
    // A person has chosen the service, which a token for a fleet does not name.
    credentials: staticToken(token, { services: "any" }),
    credentialPolicy: { allowPlaintext: places.filter((place) => place !== "") },
  };
}
