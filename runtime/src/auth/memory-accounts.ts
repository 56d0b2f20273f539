import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { MicroError } from "../base/error.ts";
import type { GenerateOptions, NewAccount, SecretGrant } from "./auth.ts";
import { refusal } from "./refusals.ts";

/** An account of this process. */
export interface MemoryAccount extends Omit<NewAccount, "secret"> {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly secretHash: Buffer;
}

const maxAccounts = 10_000;

/** Accounts that live as long as the process. Their secrets are kept as hashes. */
export class MemoryAccounts {
  readonly #issuer: string;
  readonly #accounts = new Map<string, MemoryAccount>();

  constructor(issuer: string) {
    this.#issuer = issuer;
  }

  get(id: string): MemoryAccount | undefined {
    return this.#accounts.get(id);
  }

  /** @throws MicroError `already_exists`; `resource_exhausted` for more than 10,000 accounts. */
  add(id: string, options: GenerateOptions): NewAccount {
    const { type = "service", scopes = [], claims = {} } = options;
    const secret = options.secret ?? randomBytes(32).toString("base64url");
    if (this.#accounts.has(id)) {
      throw new MicroError("already_exists", `there is an account ${id} already`, {
        outcome: "not-executed",
      });
    }
    if (this.#accounts.size >= maxAccounts) {
      throw new MicroError("resource_exhausted", `there are ${maxAccounts} accounts already`, {
        outcome: "not-executed",
      });
    }
    const account = { id, type, issuer: this.#issuer, scopes: [...scopes] };
    this.#accounts.set(id, { ...account, claims: { ...claims }, secretHash: hashOf(secret) });
    return { ...account, secret };
  }

  remove(id: string): boolean {
    return this.#accounts.delete(id);
  }

  /** @throws MicroError `unauthenticated`, the same for an unknown account and a wrong secret. */
  proved({ id, secret }: SecretGrant): MemoryAccount {
    const account = this.#accounts.get(id);
    const isEqual = timingSafeEqual(hashOf(secret), account?.secretHash ?? noHash);
    if (account === undefined || !isEqual) throw refusal("unauthenticated");
    return account;
  }
}

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

const noHash = Buffer.alloc(32);
