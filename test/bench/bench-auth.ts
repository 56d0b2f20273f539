import type { Account } from "@micro-es/runtime";
import type { Auth } from "@micro-es/runtime/auth";

/** A token as long as those of common issuers. */
export const benchToken: string = `${"e".repeat(100)}.${"y".repeat(274)}.${"s".repeat(86)}`;

const account: Account = {
  id: "bench",
  type: "service",
  issuer: "bench",
  scopes: new Set(["bench"]),
  claims: {},
  expiresAtMs: Number.POSITIVE_INFINITY,
  provenBy: "token",
};

const unavailable = () => Promise.reject(new Error("the benchmark issues no tokens"));

/** Accepts {@link benchToken}: a known credential is measured, and not its signature. */
export function benchAuth(): Auth {
  return {
    name: "bench",
    state: "healthy",
    guarantees: {
      issues: false,
      revokes: false,
      revocationMs: Number.POSITIVE_INFINITY,
      keyStalenessMs: 0,
      algorithms: [],
    },
    inspect: async (credential) => (credential?.token === benchToken ? account : undefined),
    generate: unavailable,
    token: unavailable,
    revoke: unavailable,
    onStateChange: () => () => {},
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
