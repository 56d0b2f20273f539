import type { KeyObject } from "node:crypto";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import {
  checkOptions,
  either,
  type OptionKindsOf,
  required,
  secret,
  text,
  texts,
} from "../../base/option-check.ts";
import type { Account, Credential } from "../../call/account.ts";
import type { Peer } from "../../call/call.ts";
import type {
  Auth,
  AuthGuarantees,
  GenerateOptions,
  NewAccount,
  Token,
  TokenGrant,
} from "../auth.ts";
import { checkGenerate, grantedScopes, requireSecretGrant } from "../issuing-options.ts";
import { loadJose } from "../load-jose.ts";
import { type MemoryAccount, MemoryAccounts } from "../memory-accounts.ts";
import { statedScopes } from "../token-account.ts";
import type { TokenTable } from "../token-form.ts";
import { TokenVerifier } from "../token-verifier.ts";
import { requireOpen, unsupported } from "../unsupported.ts";
import { readPrivateKey, readPublicKey } from "./rsa-keys.ts";

/** Options of {@link goMicroAuth}. */
export interface GoMicroAuthOptions {
  /** The fleet's `MICRO_AUTH_NAMESPACE`: the claim `iss` of its tokens, exactly. */
  readonly namespace: string;
  /** The fleet's `MICRO_AUTH_PUBLIC_KEY`: an RSA key as PEM, or base64 of it. */
  readonly publicKey: string;
  /** The fleet's `MICRO_AUTH_PRIVATE_KEY`, to issue tokens that Go services accept. */
  readonly privateKey?: string;
  /**
   * Names of this service. go-micro's tokens have no audience; a token that has one is accepted if
   * it is one of these. Default: none, so that tokens with an audience are refused.
   */
  readonly audience?: string | readonly string[];
}

const kinds: OptionKindsOf<GoMicroAuthOptions> = {
  namespace: required(text),
  publicKey: required(secret),
  privateKey: secret,
  audience: either(text, texts),
};

/** The longest life of an issued token: a Go service passes it on with its own calls. */
const maxLifeMs = 5 * 60_000;

/**
 * Verifies the tokens of a go-micro fleet (its auth `jwt`), and issues tokens to it if it has the
 * private key. Accounts have the issuer `go-micro:<namespace>`.
 *
 * A token needs an end, which go-micro's have. The accounts that `generate` creates live in this
 * process: create them when it starts.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { goMicroAuth } from "@micro-es/runtime/auth";
 *
 * const service = createService({
 *   name: "stock",
 *   auth: goMicroAuth({
 *     namespace: "acme",
 *     publicKey: process.env.MICRO_AUTH_PUBLIC_KEY ?? "",
 *   }),
 * });
 * ```
 *
 * @throws MicroError `invalid_argument` for an option or a key that cannot be used.
 */
export function goMicroAuth(options: GoMicroAuthOptions): Auth {
  checkOptions("goMicroAuth", options, kinds);
  return new GoMicroAuth(options);
}

class GoMicroAuth extends Closable implements Auth {
  readonly name = "go-micro";
  readonly guarantees: AuthGuarantees;
  readonly #status = new BackendStatus();
  readonly #namespace: string;
  readonly #verifier: TokenVerifier;
  readonly #privateKey: KeyObject | undefined;
  readonly #accounts: MemoryAccounts;

  constructor({ namespace, publicKey, privateKey, audience = [] }: GoMicroAuthOptions) {
    super();
    const key = readPublicKey(publicKey);
    const issuer = `go-micro:${namespace}`;
    this.#namespace = namespace;
    this.#accounts = new MemoryAccounts(issuer);
    this.#privateKey = privateKey === undefined ? undefined : readPrivateKey(privateKey, key);
    this.#verifier = new TokenVerifier({
      profile: {
        issuer: namespace,
        audience: [audience].flat(),
        requiresAudience: false,
        algorithms: ["RS256"],
        types: ["jwt"],
        requiresKeyId: false,
        requiredClaims: [],
      },
      keys: { key: (id) => (id === undefined ? key : undefined), holds: () => true },
      accountIssuer: issuer,
      defaultType: "service",
      scopesOf: goMicroScopes,
    });
    this.guarantees = {
      issues: privateKey !== undefined,
      revokes: false,
      revocationMs: Number.POSITIVE_INFINITY,
      keyStalenessMs: Number.POSITIVE_INFINITY,
      algorithms: ["RS256"],
    };
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async open(): Promise<void> {
    requireOpen(this.isClosing, this.name);
    await loadJose();
  }

  async inspect(credential: Credential | undefined, peer: Peer): Promise<Account | undefined> {
    if (credential === undefined) return undefined;
    requireOpen(this.isClosing, this.name);
    return this.#verifier.verify(credential, peer);
  }

  async generate(id: string, options: GenerateOptions = {}): Promise<NewAccount> {
    requireOpen(this.isClosing, this.name);
    this.#requirePrivateKey("create accounts");
    checkGenerate(this.name, id, options);
    for (const [name, value] of Object.entries(options.claims ?? {})) {
      if (typeof value !== "string") {
        throw invalid(`the claim ${name} must be a string: it becomes metadata of the Go account`);
      }
    }
    return this.#accounts.add(id, options);
  }

  async token(grant: TokenGrant): Promise<Token> {
    requireOpen(this.isClosing, this.name);
    const privateKey = this.#requirePrivateKey("issue tokens");
    const given = requireSecretGrant(this.name, grant);
    const account = this.#accounts.proved(given);
    const audience = [given.audience ?? []].flat();
    if (audience.length > 1) {
      throw invalid("a token is for one audience: its receiver could use it at the others");
    }
    const scopes = grantedScopes(account.scopes, given.scopes);
    const lifeMs = Math.min(given.ttlMs ?? maxLifeMs, maxLifeMs);
    const expiry = Math.floor((Date.now() + lifeMs) / 1_000);
    const claims = this.#claimsOf(account, scopes);
    const { SignJWT } = await loadJose();
    const accessToken = await new SignJWT({ ...claims, ...(audience[0] && { aud: audience[0] }) })
      .setProtectedHeader({ alg: "RS256", typ: "JWT" })
      .setExpirationTime(expiry)
      .sign(privateKey);
    return { accessToken, expiresAtMs: expiry * 1_000, scopes };
  }

  async revoke(): Promise<void> {
    throw unsupported(this.name, "revoke", "replace the fleet's keys, or deny by a rule");
  }

  protected async closeOnce(): Promise<void> {}

  #claimsOf({ id, type, claims }: MemoryAccount, scopes: readonly string[]): TokenTable {
    return { type, scopes, metadata: claims, iss: this.#namespace, sub: id };
  }

  #requirePrivateKey(what: string): KeyObject {
    if (this.#privateKey !== undefined) return this.#privateKey;
    throw unsupported(this.name, `${what} without a private key`, "give the fleet's as privateKey");
  }
}

/** Go writes a list without items as null. */
function goMicroScopes({ scopes }: TokenTable): readonly string[] {
  return scopes === null ? [] : statedScopes({ scopes });
}

function invalid(reason: string): MicroError {
  return new MicroError("invalid_argument", `go-micro: ${reason}`, { outcome: "not-executed" });
}
