import type { JsonWebKey } from "node:crypto";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import {
  callback,
  checkOptions,
  durationMs,
  either,
  instanceOf,
  list,
  listOf,
  logger,
  type OptionKindsOf,
  oneOf,
  pem,
  required,
  text,
  texts,
} from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import type { Account, Credential } from "../../call/account.ts";
import type { Peer } from "../../call/call.ts";
import type {
  Auth,
  AuthAlgorithm,
  AuthGuarantees,
  NewAccount,
  RevocationListener,
  Token,
} from "../auth.ts";
import { KeptFile } from "../kept-file.ts";
import { loadJose } from "../load-jose.ts";
import { RevocationListeners } from "../revocation-listeners.ts";
import { statedScopes } from "../token-account.ts";
import type { TokenTable } from "../token-form.ts";
import type { TokenProfile } from "../token-policy.ts";
import { TokenVerifier } from "../token-verifier.ts";
import { requireOpen, unsupported } from "../unsupported.ts";
import type { KeySource, VerificationKey } from "../verification-key.ts";
import { JwksSource } from "./jwks-source.ts";
import { readKeptKeySet } from "./kept-key-set.ts";
import { readKeys } from "./key-set.ts";
import { type KeySetOrigin, keySetAt, keySetOfIssuer } from "./key-set-origin.ts";
import { checkIsAccessToken, providerScopes } from "./provider-tokens.ts";

/** A format of access tokens. */
export type JwtProfile = "rfc9068" | "provider";

/** Options of {@link jwtAuth}. */
export interface JwtAuthOptions {
  /** The claim `iss` of accepted tokens, exactly. */
  readonly issuer: string;
  /** Names of this service; the claim `aud` of accepted tokens contains one of them. */
  readonly audience: string | readonly string[];
  /**
   * Where the keys of the issuer are: an https URL or a path. Default: the location in the OpenID
   * configuration of the issuer, at `<issuer>/.well-known/openid-configuration`.
   */
  readonly jwks?: string | URL;
  /** The public keys themselves, as JSON Web Keys, in place of `jwks`. They never change. */
  readonly keys?: readonly JsonWebKey[];
  /** Accepted algorithms. Default: EdDSA, ES256 and RS256. */
  readonly algorithms?: readonly AuthAlgorithm[];
  /**
   * How access tokens look. Default `rfc9068`: the header `typ` is `at+jwt`, which tells them from
   * ID tokens, and the claim `jti` is required. `provider` also accepts the formats of providers
   * that do not follow RFC 9068: `typ` may be `JWT` or absent, and `jti` may be absent. Claims must
   * then show that a token is an access token; ID tokens are refused.
   */
  readonly profile?: JwtProfile;
  /**
   * Returns the scopes of an account. Default: the claim `scope` or `scopes`; with the profile
   * `provider` also `scp`, each as a list or separated by spaces.
   */
  readonly scopesOf?: (claims: Readonly<Record<string, unknown>>) => readonly string[];
  /** Time between two reads of the keys, varied by 20 %; in milliseconds. Default 5 minutes. */
  readonly refreshMs?: number;
  /**
   * How long keys are used while they cannot be read again, in milliseconds; tokens are then
   * refused as `unavailable`. Default 24 hours.
   */
  readonly maxStaleMs?: number;
  /**
   * File that keeps the keys, for a start while the issuer is unreachable. Only its owner can read
   * and write it. Default: none.
   */
  readonly lastKnownGood?: string;
  /** PEM of the authorities that the issuer's certificate is verified by. Default: Node's. */
  readonly ca?: string | Buffer;
  readonly logger?: Logger;
}

const algorithms = ["EdDSA", "ES256", "RS256"] as const;
const minRefreshMs = 1_000;
const dayMs = 24 * 60 * 60 * 1_000;

const kinds: OptionKindsOf<JwtAuthOptions> = {
  issuer: required(text),
  audience: required(either(text, texts)),
  jwks: either(text, instanceOf("a URL", URL)),
  keys: list,
  algorithms: listOf("algorithms", '["ES256"]', oneOf(...algorithms)),
  profile: oneOf("rfc9068", "provider"),
  scopesOf: callback,
  refreshMs: durationMs(minRefreshMs, dayMs),
  maxStaleMs: durationMs(minRefreshMs),
  lastKnownGood: text,
  ca: pem,
  logger,
};

/**
 * Verifies the access tokens of an issuer, such as an OpenID provider. It does not issue any.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { jwtAuth } from "@micro-es/runtime/auth";
 *
 * const service = createService({
 *   name: "stock",
 *   auth: jwtAuth({ issuer: "https://login.acme.example", audience: "stock" }),
 * });
 * ```
 *
 * @throws MicroError `invalid_argument` for an option or a key that cannot be used.
 */
export function jwtAuth(options: JwtAuthOptions): Auth {
  checkOptions("jwtAuth", options, kinds);
  return new JwtAuth(options);
}

class JwtAuth extends Closable implements Auth {
  readonly name = "jwt";
  readonly guarantees: AuthGuarantees;
  readonly #status = new BackendStatus();
  readonly #logger: PartLogger;
  readonly #revocations = new RevocationListeners();
  readonly #verifier: TokenVerifier;
  /** Undefined for keys that never change. */
  readonly #source: JwksSource | undefined;

  constructor(options: JwtAuthOptions) {
    super();
    const { refreshMs = 5 * 60_000, maxStaleMs = dayMs } = options;
    const profile = profileOf(options);
    this.#logger = new PartLogger(options.logger, createLogger({ level: "warn" }));
    const origin = originOf(options);
    if (maxStaleMs < refreshMs) {
      throw invalid(`maxStaleMs (${maxStaleMs}) must be at least refreshMs (${refreshMs})`);
    }
    if (origin !== undefined) {
      const { lastKnownGood } = options;
      this.#source = new JwksSource({
        origin,
        algorithms: profile.algorithms,
        refreshMs,
        maxStaleMs,
        kept:
          lastKnownGood === undefined
            ? undefined
            : new KeptFile(lastKnownGood, "the key set", (kept) =>
                readKeptKeySet(kept, origin.place),
              ),
        status: this.#status,
        logger: this.#logger,
        onRemoved: (keys) => this.#removed(keys),
      });
    }
    this.#verifier = new TokenVerifier({
      profile,
      keys: this.#source ?? fixedKeys(options.keys ?? [], profile.algorithms),
      defaultType: "user",
      scopesOf: scopesBy(
        options.scopesOf,
        options.profile === "provider" ? providerScopes : statedScopes,
      ),
    });
    this.guarantees = {
      issues: false,
      revokes: false,
      revocationMs: Number.POSITIVE_INFINITY,
      keyStalenessMs: origin === undefined ? Number.POSITIVE_INFINITY : maxStaleMs,
      algorithms: profile.algorithms,
    };
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async open(): Promise<void> {
    requireOpen(this.isClosing, this.name);
    await loadJose();
    await this.#source?.open();
  }

  async inspect(credential: Credential | undefined, peer: Peer): Promise<Account | undefined> {
    if (credential === undefined) return undefined;
    requireOpen(this.isClosing, this.name);
    return this.#verifier.verify(credential, peer);
  }

  async generate(): Promise<NewAccount> {
    throw unsupported(this.name, "create accounts", "create them at the issuer");
  }

  async token(): Promise<Token> {
    throw unsupported(this.name, "issue tokens", "get them from the issuer");
  }

  async revoke(): Promise<void> {
    throw unsupported(this.name, "revoke", "remove the key at the issuer, or deny by a rule");
  }

  onRevoked(listener: RevocationListener): () => void {
    return this.#revocations.add(listener);
  }

  protected async closeOnce(): Promise<void> {
    await this.#source?.close();
  }

  #removed(keys: ReadonlySet<VerificationKey>): void {
    this.#revocations.tell((account) => {
      const signer = this.#verifier.signerOf(account);
      return signer !== undefined && keys.has(signer);
    });
  }
}

const profiles = {
  rfc9068: { types: ["at+jwt"], requiredClaims: ["iat", "jti"] },
  provider: {
    types: ["at+jwt", "jwt", ""],
    requiredClaims: ["iat"],
    checkPurpose: checkIsAccessToken,
  },
} as const;

function profileOf(options: JwtAuthOptions): TokenProfile {
  const { issuer, profile = "rfc9068" } = options;
  const audience = [options.audience].flat();
  const accepted = options.algorithms ?? algorithms;
  for (const [name, values] of Object.entries({ audience, algorithms: accepted })) {
    if (values.length === 0 || values.some((it) => it === "")) {
      throw invalid(`${name} must not be empty`);
    }
  }
  return {
    issuer,
    audience,
    requiresAudience: true,
    algorithms: accepted,
    requiresKeyId: true,
    ...profiles[profile],
  };
}

/** Undefined if the keys were given. */
function originOf({ issuer, jwks, keys, ca }: JwtAuthOptions): KeySetOrigin | undefined {
  if (jwks !== undefined && keys !== undefined) throw invalid("give either jwks or keys, not both");
  if (keys !== undefined) return undefined;
  return jwks === undefined ? keySetOfIssuer(issuer, ca) : keySetAt(jwks, ca);
}

function fixedKeys(jwks: readonly unknown[], accepted: readonly AuthAlgorithm[]): KeySource {
  const { keys, problems } = readKeys(jwks, accepted);
  if (problems.length > 0) throw invalid(problems.join("; "));
  if (keys.size === 0) throw invalid(`keys has no key for ${accepted.join(", ")}`);
  return { key: (id) => (id === undefined ? undefined : keys.get(id)), holds: () => true };
}

/** An application's function may return anything. */
function scopesBy(
  scopesOf: JwtAuthOptions["scopesOf"],
  otherwise: (claims: TokenTable) => readonly string[],
): (claims: TokenTable) => readonly string[] {
  if (scopesOf === undefined) return otherwise;
  return (claims) => {
    const scopes: unknown = scopesOf(claims);
    if (Array.isArray(scopes) && scopes.every((it) => typeof it === "string")) return scopes;
    throw new MicroError("internal", "the scopesOf of jwtAuth did not return a list of strings");
  };
}

function invalid(reason: string): MicroError {
  return new MicroError("invalid_argument", `jwtAuth: ${reason}`, { outcome: "not-executed" });
}
