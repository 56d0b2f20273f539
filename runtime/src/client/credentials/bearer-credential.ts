import { MicroError } from "../../base/error.ts";
import type { IssuedCredential } from "../../call/credential-source.ts";
import { maxTokenLength } from "../../transport/admission.ts";
import { audienceOf } from "./token-audience.ts";

/** A bearer token to present. It does not show in logs, `inspect` or JSON. */
export class BearerCredential implements IssuedCredential {
  readonly scheme = "bearer";
  readonly services: ReadonlySet<string> | undefined;
  readonly #token: string;

  /**
   * @param services names of the services that may receive the token; `any`: every service whose
   * server is verified. Undefined: the audience that the token states, or every service if it is
   * not a JWT or states none.
   * @throws MicroError `invalid_argument` for a text that cannot be a token; it does not contain
   * the text.
   */
  constructor(token: string, services: readonly string[] | "any" | undefined) {
    if (!/^[\x21-\x7e]+$/.test(token) || token.length > maxTokenLength) {
      throw new MicroError(
        "invalid_argument",
        `the text is not a token: a token has 1 to ${maxTokenLength} visible ASCII characters without spaces`,
        { outcome: "not-executed" },
      );
    }
    const names = services === "any" ? undefined : (services ?? audienceOf(token));
    this.services = names && new Set(names);
    this.#token = token;
  }

  get token(): string {
    return this.#token;
  }
}
