import type { Backend } from "../base/backend-state.ts";
import type { Account, Credential } from "../call/account.ts";
import type { Awaitable, Peer } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";

export type { Account, AccountProof, Credential } from "../call/account.ts";

/** A signature algorithm of tokens. */
export type AuthAlgorithm = "EdDSA" | "ES256" | "RS256";

/** What an implementation of {@link Auth} guarantees. */
export interface AuthGuarantees {
  /** Whether {@link Auth.generate} and {@link Auth.token} work. */
  readonly issues: boolean;
  /** Whether {@link Auth.revoke} works. */
  readonly revokes: boolean;
  /**
   * The longest time in which a revocation takes effect in every process, in milliseconds;
   * `Infinity` if nothing but its end ends an account.
   */
  readonly revocationMs: number;
  /** The longest time for which a removed key is still accepted, in milliseconds. */
  readonly keyStalenessMs: number;
  /** Algorithms of the tokens that are accepted; none if it accepts no tokens. */
  readonly algorithms: readonly AuthAlgorithm[];
}

/** How to create an account. */
export interface GenerateOptions {
  /** Default `service`. */
  readonly type?: string;
  /** Default: none. */
  readonly scopes?: readonly string[];
  /** Stated in each token of the account, and found in {@link Account.claims}. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Default: a random secret. */
  readonly secret?: string;
}

/** An account with the secret by which it gets tokens. The secret is told only here. */
export interface NewAccount {
  readonly id: string;
  readonly type: string;
  readonly issuer: string;
  readonly scopes: readonly string[];
  readonly secret: string;
}

/** Options that every grant has. */
export interface TokenOptions {
  /** Names of the services that the token is for. Default: what the issuer was configured with. */
  readonly audience?: string | readonly string[];
  /** A subset of the account's scopes. Default: all of them. */
  readonly scopes?: readonly string[];
  /** Life of the access token, in milliseconds. The issuer has an upper bound. */
  readonly ttlMs?: number;
}

/** A token for the secret of an account. */
export interface SecretGrant extends TokenOptions {
  readonly grant: "secret";
  readonly id: string;
  readonly secret: string;
}

/** A token for a refresh token, which is spent by it. */
export interface RefreshGrant extends TokenOptions {
  readonly grant: "refresh";
  readonly refreshToken: string;
}

/** A token for a JWT that the account has signed with its own key (RFC 7523). */
export interface AssertionGrant extends TokenOptions {
  readonly grant: "assertion";
  readonly assertion: string;
}

/** A token with which an actor acts on behalf of the subject of another token (RFC 8693). */
export interface ExchangeGrant extends TokenOptions {
  readonly grant: "exchange";
  readonly subjectToken: string;
  /** Token of the service that acts. */
  readonly actorToken?: string;
}

/** A request for a token. */
export type TokenGrant = SecretGrant | RefreshGrant | AssertionGrant | ExchangeGrant;

/** An access token, and the refresh token for its successor if the issuer gives one. */
export interface Token {
  readonly accessToken: string;
  /** Usable once. */
  readonly refreshToken?: string;
  /** Wall-clock time in milliseconds since 1970. */
  readonly expiresAtMs: number;
  readonly scopes: readonly string[];
}

/** What to revoke: one token, everything of an account, or all successors of a refresh token. */
export type Revocation =
  | { readonly jti: string }
  | { readonly account: string }
  | { readonly refreshFamily: string };

/**
 * Called when accounts have ended before their credential has: for a revocation, or because a key
 * was removed. All accounts for which `hasEnded` returns true are no longer valid.
 */
export type RevocationListener = (hasEnded: (account: Account) => boolean) => void;

/** Verifies who calls, and possibly issues accounts and tokens. */
export interface Auth extends Backend {
  readonly guarantees: AuthGuarantees;
  /**
   * Returns the account that a credential, or the certificate of the peer, proves. Resolves to
   * undefined if there is neither, or neither is one that this implementation verifies.
   *
   * @throws MicroError `unauthenticated` for a credential that is not valid; `unavailable` if that
   * cannot be known, because keys are missing.
   */
  inspect(credential: Credential | undefined, peer: Peer): Awaitable<Account | undefined>;
  /**
   * Creates an account.
   * @throws MicroError `already_exists` if there is one with the id; `unimplemented` if
   * {@link AuthGuarantees.issues} is false.
   */
  generate(id: string, options?: GenerateOptions): Promise<NewAccount>;
  /**
   * Issues a token.
   * @throws MicroError `unauthenticated` for a secret, token or assertion that is not valid,
   * without the reason; `permission_denied` for scopes that the account does not have;
   * `resource_exhausted` after too many failures; `unimplemented` for an unknown grant.
   */
  token(grant: TokenGrant): Promise<Token>;
  /** @throws MicroError `unimplemented` if {@link AuthGuarantees.revokes} is false. */
  revoke(what: Revocation): Promise<void>;
  /**
   * Calls the listener when accounts end early, until the returned function is called. Absent if
   * that never happens.
   */
  onRevoked?(listener: RevocationListener): () => void;
  /**
   * Loads keys, if they are kept elsewhere. A service waits for it when it starts. It resolves also
   * if there are no keys: {@link inspect} rejects with `unavailable` until there are.
   * @throws MicroError `failed_precondition` if a package that it needs is missing.
   */
  open?(): Promise<void>;
}

/** What can be accessed: an rpc, a topic, a channel of a tunnel, or a route of a network. */
export type ResourceType = "method" | "topic" | "channel" | "route";

/** What a caller accesses, by its full name, such as `acme.stock.v1.StockService/Reserve`. */
export interface Resource {
  readonly type: ResourceType;
  readonly name: string;
}

/**
 * Selects resources: a full name, all of a package and the packages in it (`acme.*`), all of a
 * service (`acme.stock.v1.StockService/*`), or all (`*`).
 */
export interface ResourcePattern {
  readonly type: ResourceType;
  readonly name: string;
}

/** Selects callers by all properties given. Without any: everybody, also without an account. */
export interface Subject {
  readonly scope?: string;
  readonly account?: string;
  readonly issuer?: string;
}

/**
 * Grants or denies access. Rules refuse what the schema allows, and grant what it leaves open; they
 * never undo scopes or the account that the schema requires.
 */
export interface Rule {
  readonly id: string;
  readonly access: "granted" | "denied";
  /**
   * The rule with the highest priority that applies decides; of equal ones a denial, then the one
   * with the more specific resource.
   */
  readonly priority: number;
  readonly resource: ResourcePattern;
  readonly subject: Subject;
}

/** Scopes of an account whose credential carries none: a certificate, another issuer's token. */
export interface ScopeGrant {
  readonly id: string;
  readonly issuer: string;
  /** Id of the account. */
  readonly account: string;
  readonly scopes: readonly string[];
}

/** The result of a decision, with what led to it for logs; a caller learns only the code. */
export type Decision =
  | { readonly allowed: true; readonly rule?: string }
  | {
      readonly allowed: false;
      readonly code: "unauthenticated" | "permission_denied";
      readonly reason: string;
      /** Id of the rule that decided. */
      readonly rule?: string;
    };

/** The rules of a fleet. */
export interface Rules extends Backend {
  /** Increases with every change; decisions are kept for a version. */
  readonly version: number;
  /**
   * What the rules say, from what is known here and now. `undefined` if none applies. As long as no
   * rules were ever loaded, everything is denied.
   */
  verify(account: Account | undefined, resource: Resource): RuleVerdict | undefined;
  /** The scopes that {@link ScopeGrant | grants} give an account in addition to its own. */
  scopesOf(account: Account): readonly string[];
  /**
   * Adds a rule, or replaces the one with its id.
   * @throws MicroError `invalid_argument` for a rule that cannot be used, with the reason;
   * `aborted` if another process has changed the rule meanwhile; `failed_precondition` if another
   * rule in the store cannot be used; `unimplemented` for rules that do not change.
   */
  grant(rule: Rule | ScopeGrant): Promise<void>;
  /**
   * Removes a rule or grant and returns whether there was one with the id.
   * @throws MicroError `aborted`, `unimplemented` as {@link grant}.
   */
  revoke(id: string): Promise<boolean>;
  list(): readonly (Rule | ScopeGrant)[];
  /** Calls the listener after each change, until the returned function is called. */
  onChange(listener: () => void): () => void;
  /**
   * Loads the rules, if they are kept elsewhere. A service waits for it when it starts. It resolves
   * also if there are no rules to load: everything is denied then, and {@link state} says why.
   */
  open?(): Promise<void>;
}

/** The rule that decides, or why everything is denied. */
export interface RuleVerdict {
  readonly access: "granted" | "denied";
  /** Undefined if no rule decides, because none were ever loaded. */
  readonly rule?: string;
  /** Why there is no rule. */
  readonly reason?: string;
}

/** A question to an {@link Authorizer}. */
export interface AuthorizationRequest {
  readonly account: Account | undefined;
  readonly resource: Resource;
  /** Undefined if the resource is not a method. */
  readonly method: AnyMethod | undefined;
  readonly peer: Peer;
}

/**
 * Another policy engine, asked after schema and rules have allowed an access. It may only refuse.
 * An authorizer that throws or never answers refuses too.
 */
export interface Authorizer {
  readonly name: string;
  authorize(request: AuthorizationRequest): Awaitable<Decision>;
}
