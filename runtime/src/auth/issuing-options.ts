import { MicroError } from "../base/error.ts";
import {
  checkOption,
  checkOptions,
  durationMs,
  either,
  type OptionKindsOf,
  object,
  secret,
  text,
  texts,
} from "../base/option-check.ts";
import type { GenerateOptions, SecretGrant, TokenGrant, TokenOptions } from "./auth.ts";

const generateKinds: OptionKindsOf<GenerateOptions> = {
  type: text,
  scopes: texts,
  claims: object,
  secret,
};

const tokenKinds: OptionKindsOf<TokenOptions> = {
  audience: either(text, texts),
  scopes: texts,
  ttlMs: durationMs(1),
};

/**
 * Checks the arguments of `Auth.generate`.
 * @throws MicroError `invalid_argument`
 */
export function checkGenerate(name: string, id: string, options: GenerateOptions): void {
  const owner = `generate of ${name}`;
  checkOption(owner, "id", text, id);
  if (id === undefined) throw invalid(`${owner} needs an id`);
  checkOptions(owner, options, generateKinds);
}

/**
 * Checks the options that every grant has.
 * @throws MicroError `invalid_argument`
 */
export function checkTokenOptions(name: string, grant: TokenOptions): void {
  checkOptions<TokenOptions>(`token of ${name}`, grant, tokenKinds);
}

/**
 * Checks the argument of `Auth.token` where it exchanges nothing but secrets.
 * @throws MicroError `invalid_argument`; `unimplemented` for another grant.
 */
export function requireSecretGrant(name: string, grant: TokenGrant): SecretGrant {
  const owner = `token of ${name}`;
  checkTokenOptions(name, grant);
  if (grant.grant !== "secret") {
    throw new MicroError("unimplemented", `${owner} takes only the grant "secret"`, {
      outcome: "not-executed",
    });
  }
  if (typeof grant.id !== "string" || typeof grant.secret !== "string") {
    throw invalid(`${owner} needs the id and the secret of an account`);
  }
  return grant;
}

/**
 * The scopes of a token: those asked for, or all of the account.
 * @throws MicroError `permission_denied` for a scope that the account does not have.
 */
export function grantedScopes(
  owned: readonly string[],
  wanted: readonly string[] | undefined,
): readonly string[] {
  const missing = wanted?.filter((scope) => !owned.includes(scope)) ?? [];
  if (missing.length === 0) return wanted ?? owned;
  throw new MicroError(
    "permission_denied",
    `the account does not have the scopes ${missing.join(", ")}`,
    { outcome: "not-executed" },
  );
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
