import { type JsonWebKey, randomBytes } from "node:crypto";
import { isMicroError, MicroError, messageOf } from "../../base/error.ts";
import type { Store, StoreRecord } from "../../store/store.ts";
import type { GenerateOptions } from "../auth.ts";
import { isTable } from "../token-form.ts";
import { readJwk } from "../verification-key.ts";
import type { SecretHash, SecretHasher } from "./secret-hasher.ts";

/** An account in the store. */
export interface StoredAccount {
  readonly id: string;
  readonly type: string;
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  /**
   * Differs between an account and one that is created by the same id after a revocation; stated in
   * its tokens, which end with it.
   */
  readonly incarnation: string;
  readonly secret?: SecretHash;
  /** The account proves itself by assertions that it signs by this key. */
  readonly publicKey?: JsonWebKey;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  readonly revokedAtMs?: number;
}

/** How an account proves itself. */
export type Proof = { readonly secret: string } | { readonly publicKey: JsonWebKey };

export const accountsPrefix = "auth/accounts/";

const minSecretLength = 16;
const maxSecretLength = 1_024;
const maxScopes = 256;
const maxClaimBytes = 4_096;

/** Claims of a token that an account's own claims cannot replace. */
const reservedClaims = [
  ..."iss sub aud exp nbf iat jti scope scopes type act cnf inc sid azp client_id".split(" "),
];

/** The accounts of an issuer. */
export class Accounts {
  readonly #store: Store;
  readonly #hasher: SecretHasher;

  constructor(store: Store, hasher: SecretHasher) {
    this.#store = store;
    this.#hasher = hasher;
  }

  /** The account with the id, unless it was revoked. @throws MicroError `data_loss` */
  async find(id: string): Promise<StoredAccount | undefined> {
    if (!isAccountId(id)) return undefined;
    const record = await this.#store.read(accountsPrefix + id);
    const account = record && decodeAccount(record);
    return account?.revokedAtMs === undefined ? account : undefined;
  }

  /**
   * Creates an account.
   * @throws MicroError `invalid_argument` for an id or option that is not allowed;
   * `already_exists`.
   */
  async create(
    id: string,
    proof: Proof,
    { type = "service", scopes = [], claims = {} }: GenerateOptions,
    nowMs: number,
  ): Promise<StoredAccount> {
    if (!isAccountId(id)) {
      throw invalid(`an id must be 1 to 128 visible ASCII characters; got ${JSON.stringify(id)}`);
    }
    checkType(type);
    checkScopes(scopes);
    checkClaims(claims);
    const account: StoredAccount = {
      id,
      type,
      scopes: [...new Set(scopes)],
      claims,
      incarnation: randomBytes(12).toString("base64url"),
      ...(await this.#proved(proof)),
      createdAtMs: nowMs,
    };
    const record = await this.#store.read(accountsPrefix + id);
    if (record !== undefined && decodeAccount(record).revokedAtMs === undefined) throw exists(id);
    try {
      await this.#write(account, record?.version ?? 0n);
    } catch (error) {
      if (isMicroError(error) && error.code === "aborted") throw exists(id);
      throw error;
    }
    return account;
  }

  /** Revokes an account and returns what it was. @throws MicroError `not_found`, `aborted` */
  async revoke(id: string, nowMs: number): Promise<StoredAccount> {
    const record = isAccountId(id) ? await this.#store.read(accountsPrefix + id) : undefined;
    if (record === undefined) {
      throw new MicroError("not_found", `there is no account ${JSON.stringify(id)}`, {
        outcome: "not-executed",
      });
    }
    const { secret: _, publicKey: __, ...account } = decodeAccount(record);
    if (account.revokedAtMs !== undefined) return account;
    const revoked = { ...account, revokedAtMs: nowMs };
    await this.#write(revoked, record.version);
    return revoked;
  }

  /** All accounts, revoked ones included, by id. */
  async *list(): AsyncGenerator<StoredAccount, void, undefined> {
    for await (const record of this.#store.list({ prefix: accountsPrefix })) {
      yield decodeAccount(record);
    }
  }

  async #proved(proof: Proof): Promise<Pick<StoredAccount, "secret" | "publicKey">> {
    if ("publicKey" in proof) return { publicKey: checkPublicKey(proof.publicKey) };
    const { secret } = proof;
    if (typeof secret !== "string" || secret.length < minSecretLength) {
      throw invalid(`a secret must have at least ${minSecretLength} characters`);
    }
    if (secret.length > maxSecretLength) {
      throw invalid(`a secret must have at most ${maxSecretLength} characters`);
    }
    return { secret: await this.#hasher.hash(secret) };
  }

  async #write({ id, ...account }: StoredAccount, ifVersion: bigint): Promise<void> {
    const value = new TextEncoder().encode(JSON.stringify(account));
    await this.#store.write(accountsPrefix + id, value, { ifVersion });
  }
}

/** Whether a text can be the id of an account. */
export function isAccountId(id: unknown): id is string {
  return typeof id === "string" && /^[\x21-\x7e]{1,128}$/.test(id);
}

/** @throws MicroError `invalid_argument` for a scope that cannot be in the claim `scope`. */
function checkScopes(scopes: readonly string[]): void {
  const allowed = (scope: unknown) =>
    typeof scope === "string" && /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(scope);
  if (Array.isArray(scopes) && scopes.length <= maxScopes && scopes.every(allowed)) return;
  throw invalid(
    `scopes must be a list of at most ${maxScopes} words without spaces, quotes and backslashes`,
  );
}

/** The claims of a token that are the account's own. */
export function ownClaims(
  claims: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(claims).filter(([name]) => !reservedClaims.includes(name)),
  );
}

function checkType(type: unknown): void {
  if (typeof type === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(type)) return;
  throw invalid("a type must be 1 to 64 letters, digits, or one of . _ -, for example service");
}

function checkClaims(claims: unknown): void {
  if (!isTable(claims)) throw invalid("claims must be an object");
  const reserved = Object.keys(claims).find((name) => reservedClaims.includes(name));
  if (reserved !== undefined) throw invalid(`the claim ${reserved} is the issuer's own`);
  let size: number;
  try {
    size = JSON.stringify(claims).length;
  } catch (cause) {
    throw invalid(`claims must be JSON: ${messageOf(cause)}`);
  }
  if (size > maxClaimBytes)
    throw invalid(`claims must have at most ${maxClaimBytes} bytes of JSON`);
}

function checkPublicKey(jwk: JsonWebKey): JsonWebKey {
  const { kty, crv, x } = jwk;
  const publicKey = { kty, crv, x } as JsonWebKey;
  const reading = readJwk({ ...jwk, kid: "account" });
  if ("key" in reading && reading.key.algorithm === "EdDSA") return publicKey;
  const why = "bad" in reading ? `: ${reading.bad}` : "";
  throw invalid(`the public key must be the JWK of an Ed25519 key, without the private part${why}`);
}

function decodeAccount({ key, value }: StoreRecord): StoredAccount {
  let account: unknown;
  try {
    account = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch (error) {
    throw malformed(key, messageOf(error));
  }
  if (
    !isTable(account) ||
    typeof account.type !== "string" ||
    typeof account.incarnation !== "string" ||
    !Array.isArray(account.scopes) ||
    !isTable(account.claims) ||
    !isSecretHash(account.secret)
  ) {
    throw malformed(key, "it is incomplete");
  }
  return { ...(account as unknown as StoredAccount), id: key.slice(accountsPrefix.length) };
}

function isSecretHash(secret: unknown): boolean {
  if (secret === undefined) return true;
  return (
    isTable(secret) &&
    typeof secret.salt === "string" &&
    typeof secret.hash === "string" &&
    isTable(secret.cost)
  );
}

function exists(id: string): MicroError {
  return new MicroError(
    "already_exists",
    `there is an account ${JSON.stringify(id)}; revoke it to create it again`,
    {
      outcome: "not-executed",
    },
  );
}

function malformed(key: string, why: string): MicroError {
  return new MicroError(
    "data_loss",
    `the record ${JSON.stringify(key)} is not an account: ${why}`,
    {
      outcome: "not-executed",
    },
  );
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", `localAuth: ${message}`, { outcome: "not-executed" });
}
