import type { Account } from "@micro-es/runtime";
import type { Credential } from "@micro-es/runtime/auth";
import type {
  Auth,
  AuthGuarantees,
  Revocation,
  RevocationListener,
} from "../../runtime/src/auth/auth.ts";
import { invalidCredential } from "../../runtime/src/auth/refusals.ts";
import { BackendStatus } from "../../runtime/src/base/backend-state.ts";
import { MicroError } from "../../runtime/src/base/error.ts";

const unimplemented = () =>
  Promise.reject(new MicroError("unimplemented", "the tokens of a test are a table"));

/** Verifies tokens that are a table, as slowly as a test wants. */
export class TokenAuth implements Auth {
  readonly name = "tokens";
  readonly guarantees: AuthGuarantees = {
    issues: false,
    revokes: true,
    revocationMs: 0,
    keyStalenessMs: 0,
    algorithms: [],
  };
  /** Credentials that were inspected. */
  inspected = 0;
  /** Verifications that have not ended. */
  pending = 0;
  readonly #accounts = new Map<string, Account>();
  readonly #listeners = new Set<RevocationListener>();
  readonly #status = new BackendStatus();
  #held: Promise<void> | undefined;
  #count = 0;

  get state() {
    return this.#status.state;
  }

  onStateChange(listener: Parameters<Auth["onStateChange"]>[0]): () => void {
    return this.#status.onStateChange(listener);
  }

  /** Returns a new token of an account. */
  issue(...scopes: string[]): string {
    const id = `user-${++this.#count}`;
    const token = `token-of-${id}`;
    this.#accounts.set(token, {
      id,
      type: "user",
      issuer: "test",
      scopes: new Set(scopes),
      claims: {},
      expiresAtMs: Number.POSITIVE_INFINITY,
      provenBy: "token",
    });
    return token;
  }

  /** Lets no verification end until the returned function is called. */
  hold(): () => void {
    let release = () => {};
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      this.#held = undefined;
      release();
    };
  }

  async inspect(credential: Credential | undefined): Promise<Account | undefined> {
    if (credential === undefined) return undefined;
    this.inspected++;
    this.pending++;
    try {
      await this.#held;
    } finally {
      this.pending--;
    }
    const account = this.#accounts.get(credential.token);
    if (account === undefined) throw invalidCredential("it is not in the table");
    return account;
  }

  generate = unimplemented;
  token = unimplemented;

  async revoke(what: Revocation): Promise<void> {
    const id = "account" in what ? what.account : "";
    for (const [token, account] of this.#accounts) {
      if (account.id === id) this.#accounts.delete(token);
    }
    for (const listener of this.#listeners) listener((account) => account.id === id);
  }

  /** Revokes the account of a token. */
  async revokeToken(token: string): Promise<void> {
    const account = this.#accounts.get(token);
    if (account !== undefined) await this.revoke({ account: account.id });
  }

  onRevoked(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
