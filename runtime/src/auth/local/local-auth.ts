import { type JsonWebKey, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { monotonicNow } from "../../base/deadline.ts";
import { MicroError, messageOf } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import { checkOptions } from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import type { Account, Credential } from "../../call/account.ts";
import type { Peer } from "../../call/call.ts";
import { AdvancingClock } from "../advancing-clock.ts";
import { LoggedAudit } from "../audit.ts";
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
import { checkGenerate } from "../issuing-options.ts";
import { KeptFile } from "../kept-file.ts";
import { loadJose } from "../load-jose.ts";
import { invalidCredential } from "../refusals.ts";
import { RevocationListeners } from "../revocation-listeners.ts";
import { TokenVerifier } from "../token-verifier.ts";
import { requireOpen } from "../unsupported.ts";
import { Accounts, type StoredAccount } from "./accounts.ts";
import { Assertions } from "./assertions.ts";
import { FailureLimit } from "./failure-limit.ts";
import { Grants } from "./grants.ts";
import { type KeptState, readKeptState } from "./kept-state.ts";
import type { KeyState } from "./key-ring.ts";
import { KeyWrap } from "./make-key.ts";
import {
  checkStoreAndAudience,
  defaultMaxStaleMs,
  defaultRefreshMs,
  defaultRotationMs,
  type LocalAuthOptions,
  localAuthKinds,
  wrappingKey,
} from "./options.ts";
import { RefreshTokens } from "./refresh-tokens.ts";
import { Revocations } from "./revocations.ts";
import { SecretHasher } from "./secret-hasher.ts";
import { serveTokens } from "./serve-tokens.ts";
import { SigningKeys } from "./signing-keys.ts";

/** An account, without what proves it. */
export interface AccountInfo extends Omit<NewAccount, "secret"> {
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  readonly provenBy: "secret" | "key" | "nothing";
  /** Undefined unless it was revoked; in milliseconds since 1970. */
  readonly revokedAtMs?: number;
}

/** A key of the issuer. */
export interface KeyInfo {
  readonly id: string;
  readonly algorithm: string;
  readonly state: KeyState;
  /** When the state ends, in milliseconds since 1970. */
  readonly untilMs: number;
}

/** An {@link Auth} that issues accounts and tokens, and verifies its own tokens. */
export interface LocalAuth extends Auth {
  readonly issuer: string;
  open(): Promise<void>;
  onRevoked(listener: RevocationListener): () => void;
  /**
   * Creates an account that proves itself by assertions which it signs with an Ed25519 key of its
   * own (`private_key_jwt`), so that the issuer knows no secret of it.
   * @param publicKey a JSON Web Key
   * @throws MicroError as {@link Auth.generate}
   */
  register(
    id: string,
    publicKey: JsonWebKey,
    options?: Omit<GenerateOptions, "secret">,
  ): Promise<AccountInfo>;
  /** All accounts by id, revoked ones included. */
  accounts(): AsyncIterable<AccountInfo>;
  /** The keys of the issuer. */
  keys(): readonly KeyInfo[];
  /**
   * Publishes the next key, which begins to sign when every verifier has read it: after twice
   * `refreshMs`. Does nothing else if there is a next key.
   */
  rotate(): Promise<{ readonly id: string; readonly activeAtMs: number }>;
  /**
   * Removes a key at once, as when it is known to others: all tokens signed by it end. Returns
   * whether there was one.
   */
  removeKey(id: string): Promise<boolean>;
  /** The public keys as a JSON Web Key Set, with which `jwtAuth` verifies tokens elsewhere. */
  keySet(): { readonly keys: readonly JsonWebKey[] };
  /** Serves the key set, as at `/.well-known/jwks.json`, from a server of `node:http`. */
  readonly serveKeySet: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Serves {@link Auth.token} as a token endpoint of OAuth 2.0, for `clientSecret` and other
   * clients, from a server of `node:http` or `node:https`. Secrets pass through it: serve it over
   * TLS, or on this machine only.
   */
  readonly serveTokens: (request: IncomingMessage, response: ServerResponse) => void;
}

/** The longest time that a start waits for the store, in milliseconds. */
const openMs = 1_000;
const pollRevocationMs = 10_000;

/**
 * Issues accounts and tokens, and verifies its tokens, with everything in a store: any service that
 * uses the same store and issuer accepts them. Needs the package `jose`.
 *
 * Secrets are stored as scrypt hashes, refresh tokens as SHA-256. Keys are rotated by themselves. A
 * revocation takes effect in all processes within a second if the store can be watched, otherwise
 * within ten.
 *
 * @example
 * ```ts
 * import { createService, memoryStore } from "@micro-es/runtime";
 * import { localAuth } from "@micro-es/runtime/auth";
 *
 * const auth = localAuth({ store: memoryStore(), issuer: "acme" });
 * const { secret } = await auth.generate("order", { scopes: ["stock.write"] });
 * const { accessToken } = await auth.token({ grant: "secret", id: "order", secret });
 * const service = createService({ name: "stock", auth });
 * ```
 *
 * @throws MicroError `invalid_argument` for an option that cannot be used.
 */
export function localAuth(options: LocalAuthOptions): LocalAuth {
  checkOptions("localAuth", options, localAuthKinds);
  checkStoreAndAudience(options);
  return new StoreAuth(options);
}

/** The implementation, with what tests replace. */
export class StoreAuth extends Closable implements LocalAuth {
  readonly name: string = "local";
  readonly issuer: string;
  readonly guarantees: AuthGuarantees;
  readonly #hasher: SecretHasher;
  readonly #options: LocalAuthOptions;
  readonly #clock: AdvancingClock;
  readonly #status = new BackendStatus();
  readonly #logger: PartLogger;
  readonly #audit: LoggedAudit;
  readonly #listeners = new RevocationListeners();
  readonly #accounts: Accounts;
  readonly #refreshTokens: RefreshTokens;
  readonly #revocations: Revocations;
  readonly #keys: SigningKeys;
  readonly #verifier: TokenVerifier;
  readonly #grants: Grants;
  readonly #kept: KeptFile<KeptState> | undefined;
  #opening: Promise<void> | undefined;
  /** Whether the start has ended; before, a store that was not read yet is not reported. */
  #isOpened = false;
  /** Whether keys and revocations of an earlier process are in use. */
  #restored = false;
  /** Since when changes may be missed. */
  #failingSince: number | undefined;

  constructor(
    options: LocalAuthOptions,
    clock: AdvancingClock = new AdvancingClock(),
    hasher: SecretHasher = new SecretHasher(),
  ) {
    super();
    this.#hasher = hasher;
    const { store, sync, issuer, algorithm = "EdDSA", lastKnownGood } = options;
    this.#options = options;
    this.#clock = clock;
    this.issuer = issuer;
    this.#logger = new PartLogger(options.logger, createLogger());
    this.#audit = new LoggedAudit(this.#logger);
    const audience = options.audience === undefined ? [issuer] : [options.audience].flat();
    if (lastKnownGood !== undefined) {
      this.#kept = new KeptFile(lastKnownGood, "keys and revocations", (kept) =>
        readKeptState(kept, issuer),
      );
    }
    this.#revocations = new Revocations(store, {
      onRevoked: (hasEnded) => this.#listeners.tell(hasEnded),
      onChange: () => this.#changed(),
    });
    this.#keys = new SigningKeys({
      store,
      sync,
      issuer,
      algorithm,
      times: {
        refreshMs: options.refreshMs ?? defaultRefreshMs,
        rotationMs: options.rotationMs ?? defaultRotationMs,
      },
      wrap: new KeyWrap(wrappingKey(options.keyEncryptionKey)),
      clock,
      logger: this.#logger,
      onRemoved: (keys) =>
        this.#listeners.tell((account) => {
          const signer = this.#verifier.signerOf(account);
          return signer !== undefined && keys.has(signer);
        }),
      onChange: () => this.#changed(),
    });
    this.#verifier = new TokenVerifier({
      profile: {
        issuer,
        audience,
        requiresAudience: true,
        algorithms: ["EdDSA", "ES256", "RS256"],
        types: ["at+jwt"],
        requiresKeyId: true,
        requiredClaims: ["iat", "jti"],
      },
      keys: this.#keys,
      defaultType: "service",
      clock,
    });
    this.#accounts = new Accounts(store, this.#hasher);
    this.#refreshTokens = new RefreshTokens(store, async (family) => {
      if (this.#revocations.has("family", family)) return;
      await this.#revocations.add("family", family, clock.now());
    });
    this.#grants = new Grants({
      issuer,
      audience,
      accounts: this.#accounts,
      hasher: this.#hasher,
      limit: new FailureLimit(),
      assertions: new Assertions(store, this.#accounts, issuer, clock),
      refreshTokens: this.#refreshTokens,
      signer: () => this.#keys.signer(),
      inspect: (token) => this.#inspect({ scheme: "bearer", token }, here),
      audit: this.#audit,
      clock,
    });
    const revocationMs = store.guarantees.watch ? 1_000 : pollRevocationMs;
    this.guarantees = {
      issues: true,
      revokes: true,
      revocationMs,
      keyStalenessMs: revocationMs,
      algorithms: ["EdDSA", "ES256", "RS256"],
    };
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  onRevoked(listener: RevocationListener): () => void {
    return this.#listeners.add(listener);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async inspect(credential: Credential | undefined, peer: Peer): Promise<Account | undefined> {
    return credential === undefined ? undefined : this.#inspect(credential, peer);
  }

  async generate(id: string, options: GenerateOptions = {}): Promise<NewAccount> {
    checkGenerate("localAuth", id, options);
    await this.#ready();
    const { secret = randomBytes(32).toString("base64url"), ...rest } = options;
    const account = await this.#accounts.create(id, { secret }, rest, this.#clock.now());
    this.#audit.write({ event: "granted", resource: `account ${id}` });
    const { type, scopes } = account;
    return { id, type, issuer: this.issuer, scopes, secret };
  }

  async register(
    id: string,
    publicKey: JsonWebKey,
    options: Omit<GenerateOptions, "secret"> = {},
  ): Promise<AccountInfo> {
    checkGenerate("localAuth", id, options);
    await this.#ready();
    const now = this.#clock.now();
    const account = await this.#accounts.create(id, { publicKey }, options, now);
    this.#audit.write({ event: "granted", resource: `account ${id}` });
    return this.#info(account);
  }

  async *accounts(): AsyncGenerator<AccountInfo, void, undefined> {
    await this.#ready();
    for await (const account of this.#accounts.list()) yield this.#info(account);
  }

  async token(grant: TokenGrant): Promise<Token> {
    await this.#ready();
    return this.#grants.token(grant);
  }

  async revoke(what: Revocation): Promise<void> {
    await this.#ready();
    const now = this.#clock.now();
    if ("account" in what) {
      const { incarnation } = await this.#accounts.revoke(what.account, now);
      await this.#revocations.add("account", incarnation, now);
      this.#audit.write({ event: "revoked", resource: `account ${what.account}` });
    } else if ("jti" in what) {
      await this.#revocations.add("token", checkId("jti", what.jti), now);
      this.#audit.write({ event: "revoked", resource: "token" });
    } else {
      await this.#revokeFamily(checkId("refreshFamily", what.refreshFamily));
      this.#audit.write({ event: "revoked", resource: "refresh tokens" });
    }
  }

  keys(): readonly KeyInfo[] {
    const keys = this.#keys.ring?.keys ?? [];
    return keys.map(({ id, algorithm, state, untilMs }) => ({ id, algorithm, state, untilMs }));
  }

  async rotate(): Promise<{ readonly id: string; readonly activeAtMs: number }> {
    await this.#ready();
    const next = await this.#keys.rotate();
    this.#audit.write({ event: "rotated", resource: `key ${next.id}` });
    return next;
  }

  async removeKey(id: string): Promise<boolean> {
    await this.#ready();
    const existed = await this.#keys.remove(id);
    if (existed) this.#audit.write({ event: "revoked", resource: `key ${id}` });
    return existed;
  }

  keySet(): { readonly keys: readonly JsonWebKey[] } {
    return { keys: this.#keys.published };
  }

  readonly serveKeySet = ({ method }: IncomingMessage, response: ServerResponse): void => {
    if (method !== "GET" && method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    const body = JSON.stringify(this.keySet());
    const maxAgeS = Math.floor((this.#options.refreshMs ?? defaultRefreshMs) / 1_000);
    response.writeHead(200, {
      "content-type": "application/jwk-set+json",
      "content-length": Buffer.byteLength(body),
      "cache-control": `public, max-age=${maxAgeS}`,
    });
    response.end(method === "HEAD" ? undefined : body);
  };

  readonly serveTokens = (request: IncomingMessage, response: ServerResponse): void => {
    void serveTokens(request, response, (grant) => this.token(grant));
  };

  protected async closeOnce(): Promise<void> {
    await this.#opening?.catch(() => {});
    await Promise.all([this.#keys.close(), this.#revocations.followed.close()]);
    await this.#kept?.saved();
  }

  async #open(): Promise<void> {
    requireOpen(this.isClosing, "localAuth");
    await loadJose();
    this.#warnOfPlainKeys();
    try {
      const kept = await this.#kept?.load();
      if (kept !== undefined) {
        this.#keys.restore(kept.keys);
        this.#revocations.restore(kept.revoked);
        this.#restored = true;
      }
    } catch (reason) {
      this.#logger.warn({ error: messageOf(reason) }, "the kept keys are not used");
    }
    await Promise.all([this.#keys.open(openMs), this.#revocations.followed.open(openMs)]);
    this.#isOpened = true;
    this.#changed();
    if (this.#isKnown()) return;
    this.#logger.error(
      { error: this.#reason()?.message },
      "keys and revocations were never loaded: no token is accepted until the store responds",
    );
  }

  #warnOfPlainKeys(): void {
    const { keyEncryptionKey, store } = this.#options;
    const { sharing, durability } = store.guarantees;
    if (keyEncryptionKey !== undefined || (sharing === "process" && durability === "none")) return;
    this.#logger.warn(
      { store: store.name },
      "private keys are stored as they are, so whoever reads the store can sign tokens; set keyEncryptionKey where tokens are issued",
    );
  }

  async #inspect(credential: Credential, peer: Peer): Promise<Account | undefined> {
    await this.#ready();
    const account = await this.#verifier.verify(credential, peer);
    if (account === undefined) return undefined;
    this.#requireFresh();
    if (this.#revocations.isRevoked(account)) throw invalidCredential("it was revoked");
    return account;
  }

  async #ready(): Promise<void> {
    requireOpen(this.isClosing, "localAuth");
    await this.open();
    requireOpen(this.isClosing, "localAuth");
  }

  #isKnown(): boolean {
    return this.#restored || (this.#keys.followed.loaded && this.#revocations.followed.loaded);
  }

  /** @throws MicroError `unavailable` if revocations may have been missed for too long. */
  #requireFresh(): void {
    const { maxStaleMs = defaultMaxStaleMs } = this.#options;
    const since = this.#failingSince;
    if (this.#isKnown() && (since === undefined || monotonicNow() - since <= maxStaleMs)) return;
    throw new MicroError("unavailable", "revocations are not known at the moment", {
      outcome: "not-executed",
      cause: this.#reason(),
    });
  }

  async #revokeFamily(id: string): Promise<void> {
    const family = (await this.#refreshTokens.familyOf(id)) ?? id;
    if (await this.#refreshTokens.revoke(family)) return;
    throw new MicroError("not_found", "there are no such refresh tokens", {
      outcome: "not-executed",
    });
  }

  #info({ id, type, scopes, createdAtMs, revokedAtMs, ...proof }: StoredAccount): AccountInfo {
    return {
      id,
      type,
      issuer: this.issuer,
      scopes,
      createdAtMs,
      provenBy:
        proof.publicKey !== undefined ? "key" : proof.secret !== undefined ? "secret" : "nothing",
      ...(revokedAtMs !== undefined && { revokedAtMs }),
    };
  }

  #reason(): MicroError | undefined {
    const { loaded } = this.#keys.followed;
    const unloaded =
      loaded && this.#revocations.followed.loaded
        ? undefined
        : new MicroError("unavailable", `the store ${this.#options.store.name} does not respond`);
    return this.#keys.fault ?? this.#revocations.failing ?? unloaded;
  }

  #changed(): void {
    if (!this.#isOpened || this.isClosing) return;
    const reason = this.#reason();
    if (reason === undefined) {
      this.#failingSince = undefined;
      this.#restored = false;
      this.#status.set("healthy");
      this.#keep();
      return;
    }
    this.#failingSince ??= monotonicNow();
    this.#status.set(this.#isKnown() ? "degraded" : "lost", reason);
  }

  #keep(): void {
    const content = {
      issuer: this.issuer,
      keys: this.#keys.published,
      revoked: this.#revocations.entries,
    };
    this.#kept?.save(content).catch((reason: unknown) => {
      this.#logger.warn({ error: messageOf(reason) }, "the keys are not kept for the next start");
    });
  }
}

const here: Peer = { address: "", transport: "" };

/** @throws MicroError `invalid_argument` for a text that cannot be an id of a token or family. */
function checkId(what: string, id: unknown): string {
  if (typeof id === "string" && /^[A-Za-z0-9_.:-]{1,256}$/.test(id)) return id;
  throw new MicroError("invalid_argument", `cannot revoke: ${what} is not an id of a token`, {
    outcome: "not-executed",
  });
}
