import { type Backoff, backoffMs } from "../../base/backoff.ts";
import { type Deadline, monotonicNow } from "../../base/deadline.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import type { IssuedCredential } from "../../call/credential-source.ts";

/** A credential with its end. */
export interface IssuedUntil {
  readonly credential: IssuedCredential;
  /** Milliseconds that it is valid for from now; `Infinity` if it does not end. */
  readonly validMs: number;
}

/** The share of its life after which a credential is renewed, and how much that varies. */
const renewedAfter = 0.8;
const jitter = 0.1;
/** How long the issuer may take, in milliseconds. */
const requestMs = 10_000;
/** A credential refused sooner is not replaced: another would be refused as well. */
const leastAgeMs = 5_000;
const backoff: Backoff = { firstMs: 1_000, factor: 2, mostMs: 60_000, jitter: 0.2 };

/**
 * A credential that is requested with the first call, and again before it ends, by one request at a
 * time. The old one is presented until then. While the issuer fails, requests are spaced out. There
 * is no timer: a client that makes no calls requests nothing.
 */
export class RenewedCredential {
  readonly #request: () => Promise<IssuedUntil>;
  readonly #random: () => number;
  #current: IssuedCredential | undefined;
  #issuedAt: Deadline = 0;
  #renewAt: Deadline = 0;
  #endsAt: Deadline = 0;
  #pending: Promise<IssuedCredential> | undefined;
  #failures = 0;
  #notBefore: Deadline = 0;
  #lastError: MicroError | undefined;

  constructor(request: () => Promise<IssuedUntil>, random: () => number = Math.random) {
    this.#request = request;
    this.#random = random;
  }

  /** @throws MicroError of the issuer, or `unavailable` while it is not asked again. */
  get(): IssuedCredential | Promise<IssuedCredential> {
    const now = monotonicNow();
    const current = this.#current;
    if (current !== undefined && now < this.#renewAt) return current;
    if (this.#pending === undefined && now >= this.#notBefore) this.#renew();
    if (current !== undefined && now < this.#endsAt) return current;
    if (this.#pending !== undefined) return this.#pending;
    throw this.#unavailable(now);
  }

  /** Called when the credential was refused. Returns whether {@link get} supplies another one. */
  rejected(credential: IssuedCredential): boolean {
    if (credential !== this.#current) return true;
    if (monotonicNow() - this.#issuedAt < leastAgeMs) return false;
    this.#current = undefined;
    return true;
  }

  #renew(): void {
    this.#pending = this.#requestOnce().finally(() => {
      this.#pending = undefined;
    });
    // The calls that need the result wait for it themselves.
    this.#pending.catch(() => undefined);
  }

  async #requestOnce(): Promise<IssuedCredential> {
    try {
      const { credential, validMs } = await inTime(this.#request());
      if (!(validMs > 0)) {
        throw new MicroError(
          "failed_precondition",
          "the issuer returned a token that has already expired; compare the clocks of both machines",
          { outcome: "not-executed" },
        );
      }
      const share = renewedAfter * (1 - jitter + 2 * jitter * this.#random());
      this.#issuedAt = monotonicNow();
      this.#renewAt = this.#issuedAt + validMs * share;
      this.#endsAt = this.#issuedAt + validMs;
      this.#current = credential;
      this.#failures = 0;
      this.#notBefore = 0;
      return credential;
    } catch (reason) {
      this.#failures++;
      this.#lastError = asMicroError(reason, "unavailable");
      this.#notBefore = monotonicNow() + backoffMs(backoff, this.#failures, this.#random);
      throw this.#lastError;
    }
  }

  #unavailable(now: Deadline): MicroError {
    const { code, message } = this.#lastError!;
    const waitMs = Math.ceil(this.#notBefore - now);
    return new MicroError(code, `${message}; the issuer is not asked again for ${waitMs} ms`, {
      outcome: "not-executed",
      cause: this.#lastError,
    });
  }
}

async function inTime<T>(request: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `the issuer did not respond within ${requestMs} ms`;
      reject(new MicroError("unavailable", text, { outcome: "not-executed" }));
    }, requestMs);
    timer.unref();
  });
  try {
    return await Promise.race([request, late]);
  } finally {
    clearTimeout(timer);
  }
}
