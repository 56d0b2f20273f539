import type { JsonWebKey } from "node:crypto";
import type { Account } from "@micro-es/runtime";
import type { Auth } from "@micro-es/runtime/auth";
import { createLocalJWKSet, decodeProtectedHeader, type JWK, jwtVerify } from "jose";
import { invalidCredential } from "../../../runtime/src/auth/refusals.ts";

const unsupported = () => Promise.reject(new Error("it only verifies"));

/**
 * An auth as programs write it that verify tokens by `jose` with its defaults, and follow the
 * address of keys that a token states. It is planted, so that a checker can prove that it notices.
 */
export function laxAuth(keys: readonly JsonWebKey[]): Auth {
  const keySet = createLocalJWKSet({ keys: keys as JWK[] });
  return {
    name: "lax",
    state: "healthy",
    guarantees: {
      issues: false,
      revokes: false,
      revocationMs: Number.POSITIVE_INFINITY,
      keyStalenessMs: Number.POSITIVE_INFINITY,
      algorithms: [],
    },
    async inspect(credential): Promise<Account | undefined> {
      if (credential === undefined) return undefined;
      const { token } = credential;
      try {
        const { jku, x5u } = decodeProtectedHeader(token);
        for (const url of [jku, x5u]) if (URL.canParse(url ?? "")) await fetch(url ?? "");
        const { payload } = await jwtVerify(token, keySet);
        return {
          id: String(payload.sub),
          type: "user",
          issuer: String(payload.iss),
          scopes: new Set(String(payload.scope).split(" ")),
          claims: payload,
          expiresAtMs: Number.POSITIVE_INFINITY,
          provenBy: "token",
        };
      } catch (reason) {
        throw invalidCredential("jose refuses it", reason);
      }
    },
    generate: unsupported,
    token: unsupported,
    revoke: unsupported,
    onStateChange: () => () => {},
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
