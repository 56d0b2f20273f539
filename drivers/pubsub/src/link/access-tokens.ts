import { untilAborted } from "@micro-es/runtime/driver";
import type { AccessToken, TokenSource } from "./credentials.ts";

/** A token is replaced this long before it ends, in milliseconds. */
const aheadMs = 5 * 60_000;
/** How long it may take to obtain a token, in milliseconds. */
const obtainMs = 10_000;

/** Keeps a current token, for all requests. */
export class AccessTokens {
  readonly #source: TokenSource;
  readonly #closed: AbortSignal;
  #current: AccessToken | undefined;
  #obtaining: Promise<AccessToken> | undefined;

  constructor(source: TokenSource, closed: AbortSignal) {
    this.#source = source;
    this.#closed = closed;
  }

  get project(): string | undefined {
    return this.#source.project;
  }

  /** @throws MicroError of the source, while there is no token that is still valid. */
  async get(signal: AbortSignal | undefined): Promise<string> {
    const current = this.#current;
    const now = Date.now();
    if (current !== undefined && current.expiresAt - aheadMs > now) return current.value;
    this.#obtaining ??= this.#obtain().finally(() => {
      this.#obtaining = undefined;
    });
    try {
      return (await untilAborted(this.#obtaining, [signal, this.#closed])).value;
    } catch (error) {
      // The next request tries again.
      if (current !== undefined && current.expiresAt > Date.now()) return current.value;
      throw error;
    }
  }

  /** Discards a token that the service refused. */
  refuse(value: string): void {
    if (this.#current?.value === value) this.#current = undefined;
  }

  async #obtain(): Promise<AccessToken> {
    const token = await this.#source.obtain(AbortSignal.timeout(obtainMs));
    this.#current = token;
    return token;
  }
}
