import { randomUUID } from "node:crypto";
import type { BackendState } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import {
  checkOption,
  checkOptions,
  durationMs,
  type OptionKindsOf,
  object,
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
  Revocation,
  RevocationListener,
  Token,
  TokenGrant,
} from "../auth.ts";
import { checkGenerate, grantedScopes, requireSecretGrant } from "../issuing-options.ts";
import { MemoryAccounts } from "../memory-accounts.ts";
import { invalidCredential } from "../refusals.ts";
import { RevocationListeners } from "../revocation-listeners.ts";
import { requireOpen, unsupported } from "../unsupported.ts";

/** An account of {@link testAuth}. */
export interface TestAccountOptions {
  /** Default `user`. */
  readonly type?: string;
  /** Default: none. */
  readonly scopes?: readonly string[];
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Milliseconds until it expires. Default: never. */
  readonly expiresInMs?: number;
}

/** Options of {@link testAuth}. */
export interface TestAuthOptions {
  /** Accounts by id. The id is the token, too. Default: none. */
  readonly accounts?: Readonly<Record<string, TestAccountOptions>>;
}

/** An {@link Auth} for tests. */
export interface TestAuth extends Auth {
  /** Adds an account, whose token is its id, or replaces the one with that id. */
  add(id: string, account?: TestAccountOptions): void;
}

const kinds: OptionKindsOf<TestAuthOptions> = { accounts: object };
const accountKinds: OptionKindsOf<TestAccountOptions> = {
  type: text,
  scopes: texts,
  claims: object,
  expiresInMs: durationMs(0),
};

const issuer = "test";
const guarantees: AuthGuarantees = {
  issues: true,
  revokes: true,
  revocationMs: 0,
  keyStalenessMs: 0,
  algorithms: [],
};
const defaultLifeMs = 5 * 60_000;

/**
 * Accounts for tests: the id of an account is its token, as in `authorization: Bearer ada`.
 *
 * Since such tokens can be guessed, it does not start where `NODE_ENV` is `production`, and accepts
 * them only from callers on the same machine: in memory, over a unix socket or a loopback address.
 *
 * @example
 * ```ts
 * import { createTestService, testAuth } from "@micro-es/runtime/testing";
 *
 * const test = await createTestService(() => undefined, {
 *   auth: testAuth({ accounts: { ada: { scopes: ["stock.write"] } } }),
 * });
 * ```
 *
 * @throws MicroError `failed_precondition` where `NODE_ENV` is `production`.
 */
export function testAuth(options: TestAuthOptions = {}): TestAuth {
  checkOptions("testAuth", options, kinds);
  if (process.env.NODE_ENV === "production") {
    throw new MicroError(
      "failed_precondition",
      "testAuth accepts tokens that can be guessed, and NODE_ENV is production; use localAuth() or jwtAuth()",
      { outcome: "not-executed" },
    );
  }
  const auth = new MemoryAuth();
  for (const [id, account] of Object.entries(options.accounts ?? {})) auth.add(id, account);
  return auth;
}

class MemoryAuth extends Closable implements TestAuth {
  readonly name = "test";
  readonly guarantees: AuthGuarantees = guarantees;
  readonly state: BackendState = "healthy";
  readonly #accounts = new MemoryAccounts(issuer);
  readonly #tokens = new Map<string, Account>();
  readonly #revocations = new RevocationListeners();

  onStateChange(): () => void {
    return () => undefined;
  }

  useLogger(logger: Logger): void {
    logger.warn({}, "testAuth accepts tokens that can be guessed; it is for tests only");
  }

  add(id: string, account: TestAccountOptions = {}): void {
    checkOption("testAuth", "id", text, id);
    checkOptions(`the account ${id} of testAuth`, account, accountKinds);
    const { type = "user", scopes = [], claims = {}, expiresInMs } = account;
    const expiresAtMs = expiresInMs === undefined ? undefined : Date.now() + expiresInMs;
    this.#end((it) => it.id === id);
    this.#tokens.set(id, accountWith({ id, type, scopes, claims, expiresAtMs }));
  }

  async inspect(credential: Credential | undefined, peer: Peer): Promise<Account | undefined> {
    if (credential === undefined) return undefined;
    requireOpen(this.isClosing, this.name);
    const account = this.#tokens.get(credential.token);
    if (account === undefined) return undefined;
    if (!isOnThisMachine(peer)) {
      throw invalidCredential("testAuth accepts only callers on the same machine");
    }
    if (account.expiresAtMs <= Date.now()) throw invalidCredential("the token has expired");
    return account;
  }

  async generate(id: string, options: GenerateOptions = {}): Promise<NewAccount> {
    requireOpen(this.isClosing, this.name);
    checkGenerate(this.name, id, options);
    return this.#accounts.add(id, options);
  }

  async token(grant: TokenGrant): Promise<Token> {
    requireOpen(this.isClosing, this.name);
    const given = requireSecretGrant(this.name, grant);
    const { id, type, claims, ...account } = this.#accounts.proved(given);
    const scopes = grantedScopes(account.scopes, given.scopes);
    const expiresAtMs = Date.now() + (given.ttlMs ?? defaultLifeMs);
    const jti = randomUUID();
    const about = { id, type, scopes, claims: { ...claims, jti }, expiresAtMs };
    this.#tokens.set(jti, accountWith(about));
    return { accessToken: jti, expiresAtMs, scopes };
  }

  async revoke(what: Revocation): Promise<void> {
    requireOpen(this.isClosing, this.name);
    if ("jti" in what) this.#end(({ claims }) => claims.jti === what.jti);
    else if ("account" in what) {
      this.#accounts.remove(what.account);
      this.#end(({ id }) => id === what.account);
    } else throw unsupported(this.name, "issue refresh tokens", "revoke by jti or account");
  }

  onRevoked(listener: RevocationListener): () => void {
    return this.#revocations.add(listener);
  }

  protected async closeOnce(): Promise<void> {
    this.#tokens.clear();
  }

  #end(hasEnded: (account: Account) => boolean): void {
    const ended = new Set<Account>();
    for (const [token, account] of this.#tokens) {
      if (!hasEnded(account)) continue;
      ended.add(account);
      this.#tokens.delete(token);
    }
    if (ended.size > 0) this.#revocations.tell((account) => ended.has(account));
  }
}

function accountWith(parts: {
  readonly id: string;
  readonly type: string;
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  readonly expiresAtMs: number | undefined;
}): Account {
  return {
    id: parts.id,
    type: parts.type,
    issuer,
    scopes: new Set(parts.scopes),
    claims: { ...parts.claims },
    expiresAtMs: parts.expiresAtMs ?? Number.POSITIVE_INFINITY,
    provenBy: "token",
  };
}

function isOnThisMachine({ transport, address }: Peer): boolean {
  return (
    transport === "memory" ||
    address.startsWith("unix:") ||
    /^(?:127(?:\.\d{1,3}){3}|\[::1\]|\[::ffff:127(?:\.\d{1,3}){3}\]):\d+$/.test(address)
  );
}
