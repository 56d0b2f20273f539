import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { MicroError } from "../../base/error.ts";

/** The stored form of a secret. */
export interface SecretHash {
  readonly salt: string;
  readonly hash: string;
  /** Cost parameters of scrypt. */
  readonly cost: { readonly N: number; readonly r: number; readonly p: number };
}

/** One of the equal choices that OWASP recommends; it takes 16 MiB. */
const defaultCost: SecretHash["cost"] = { N: 2 ** 14, r: 8, p: 5 };
const hashBytes = 32;
const maxmem = 256 * 1024 * 1024;
/** More would keep all threads of the process busy, which file and DNS requests need too. */
const maxAtWork = 2;
const maxWaiting = 64;

/** Hashes secrets, a few at a time. */
export class SecretHasher {
  readonly #cost: SecretHash["cost"];
  /** What an unknown account is compared with, so that it takes the work of a known one. */
  readonly #noHash: SecretHash;
  #atWork = 0;
  readonly #waiting: (() => void)[] = [];
  /** How many hashes were computed. */
  runs = 0;

  constructor(cost: SecretHash["cost"] = defaultCost) {
    this.#cost = cost;
    this.#noHash = {
      salt: randomBytes(16).toString("base64url"),
      hash: randomBytes(hashBytes).toString("base64url"),
      cost,
    };
  }

  async hash(secret: string): Promise<SecretHash> {
    const salt = randomBytes(16);
    const hash = await this.#run(secret, salt, this.#cost);
    return { salt: salt.toString("base64url"), hash: hash.toString("base64url"), cost: this.#cost };
  }

  /**
   * Whether a secret is the stored one. Without a stored one it does the same work, and is false.
   * @throws MicroError `resource_exhausted` if too many secrets wait.
   */
  async verify(secret: string, stored: SecretHash | undefined): Promise<boolean> {
    const { salt, hash, cost } = stored ?? this.#noHash;
    const found = await this.#run(secret, Buffer.from(salt, "base64url"), cost);
    const expected = Buffer.from(hash, "base64url");
    return (
      expected.length === found.length && timingSafeEqual(found, expected) && stored !== undefined
    );
  }

  async #run(secret: string, salt: Buffer, { N, r, p }: SecretHash["cost"]): Promise<Buffer> {
    await this.#turn();
    try {
      this.runs++;
      return await new Promise((resolve, reject) => {
        scrypt(secret, salt, hashBytes, { N, r, p, maxmem }, (error, hash) => {
          // Bun passes undefined.
          if (error === null || error === undefined) resolve(hash);
          else reject(error);
        });
      });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#atWork--;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#atWork < maxAtWork) {
      this.#atWork++;
      return;
    }
    if (this.#waiting.length >= maxWaiting) {
      throw new MicroError("resource_exhausted", "too many secrets are being verified; try later", {
        outcome: "not-executed",
        retryAfterMs: 1_000,
      });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
