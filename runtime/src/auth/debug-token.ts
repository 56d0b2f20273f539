import { createHash, timingSafeEqual } from "node:crypto";
import type { Credential } from "../call/account.ts";
import type { AnyMethod } from "../call/method.ts";
import type { Decision } from "./auth.ts";
import { VerifiedIdentity } from "./verified-identity.ts";

const debugMethods = /^micro\.debug\.v1\.DebugService\//;

/**
 * A text that opens the debug service, and nothing else, to callers without an account. It is not
 * issued by the auth of the server, and neither rules nor the schema know it.
 */
export class DebugToken {
  /** The identity of all that present it. */
  readonly identity: VerifiedIdentity = new VerifiedIdentity(
    {
      id: "debug-token",
      type: "service",
      issuer: "micro.debug",
      scopes: new Set(["micro.debug"]),
      claims: {},
      expiresAtMs: Number.POSITIVE_INFINITY,
      provenBy: "token",
    },
    Number.POSITIVE_INFINITY,
  );
  readonly #length: number;
  readonly #digest: Buffer;

  constructor(token: string) {
    this.#length = token.length;
    this.#digest = digestOf(token);
  }

  /** Whether a credential is this token, in constant time for all of its length. */
  is({ token }: Credential): boolean {
    return token.length === this.#length && timingSafeEqual(digestOf(token), this.#digest);
  }

  static decide({ name }: AnyMethod): Decision {
    if (debugMethods.test(name)) return { allowed: true };
    return {
      allowed: false,
      code: "unauthenticated",
      reason: "the token of the debug service is for its methods only",
    };
  }
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
