import {
  checkOptions,
  type OptionKind,
  type OptionKindsOf,
  texts,
} from "../../base/option-check.ts";
import type { CredentialSource } from "../../call/credential-source.ts";
import { BearerCredential } from "./bearer-credential.ts";

/** Options that all sources of tokens have. */
export interface TokenServicesOptions {
  /**
   * Names of the services that may receive the token; `any`: every service whose server is
   * verified. Default: the audience that the token states (`aud`); every service if the token is
   * not a JWT or states none.
   */
  readonly services?: readonly string[] | "any";
}

/** The kind of the option `services`. */
export const services: OptionKind = {
  words: 'a list of service names, for example ["stock"], or "any"',
  accepts: (value) => value === "any" || texts.accepts(value),
};

const kinds: OptionKindsOf<TokenServicesOptions> = { services };

/**
 * Presents one token for as long as the client lives.
 *
 * @throws MicroError `invalid_argument` for a text that cannot be a token.
 *
 * @example
 * ```ts
 * import { createClient } from "@micro-es/runtime";
 * import { staticToken } from "@micro-es/runtime/auth";
 *
 * const client = createClient({ credentials: staticToken(process.env.STOCK_TOKEN ?? "") });
 * ```
 */
export function staticToken(token: string, options: TokenServicesOptions = {}): CredentialSource {
  checkOptions("staticToken", options, kinds);
  const credential = new BearerCredential(token, options.services);
  return { credential: () => credential };
}
