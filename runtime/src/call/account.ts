import type { Deadline } from "../base/deadline.ts";
import type { MicroError } from "../base/error.ts";

/**
 * How it was proved that a caller has an account; `none` for the stand-in account `unverified` of
 * all callers in a server with `auth: false`.
 */
export type AccountProof = "token" | "certificate" | "token+certificate" | "event" | "none";

/** Who calls, as an `Auth` has verified it. */
export interface Account {
  /** Unique for the issuer, such as `user:ada`, `service:order` or `spiffe://acme/order`. */
  readonly id: string;
  /** Such as `user` or `service`. */
  readonly type: string;
  /** The authority that states the account; an id means nothing without it. */
  readonly issuer: string;
  /** What the account may do. Compared exactly, including case. */
  readonly scopes: ReadonlySet<string>;
  /** What else the issuer states, such as `email`. */
  readonly claims: Readonly<Record<string, unknown>>;
  /**
   * When the credential is no longer accepted: the end of the token, with the tolerance for clocks
   * that differ, or of the certificate, whichever is earlier. In milliseconds since 1970;
   * `Infinity` if neither ends.
   */
  readonly expiresAtMs: number;
  readonly provenBy: AccountProof;
  /** The account that acts on behalf of this one (the claim `act`, RFC 8693). */
  readonly actor?: Account;
}

/** What a caller presents to prove who it is. */
export interface Credential {
  readonly scheme: "bearer";
  readonly token: string;
}

/**
 * An account whose credential was verified. Everything that received the same credential shares it,
 * so that a revocation is one write.
 */
export interface Identity {
  readonly account: Account;
  /** When the credential ends, on the clock of deadlines; a wall clock set back revives nothing. */
  readonly validUntil: Deadline;
  /** Why the account is no longer valid; undefined as long as it is. */
  readonly ended: MicroError | undefined;
}
