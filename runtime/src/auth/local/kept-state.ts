import type { JsonWebKey } from "node:crypto";
import { isTable } from "../token-form.ts";

/** Kept for a start without the store: enough to verify tokens, and not to sign them. */
export interface KeptState {
  readonly issuer: string;
  readonly keys: readonly JsonWebKey[];
  /** `<kind>/<id>` of each revocation. */
  readonly revoked: readonly string[];
}

/** @throws Error if it is not that of the issuer, or of another format. */
export function readKeptState(
  { issuer, keys, revoked }: { readonly [K in keyof KeptState]?: unknown },
  expected: string,
): KeptState {
  if (issuer !== expected) throw new Error("it is of another issuer");
  if (
    !Array.isArray(keys) ||
    !keys.every(isTable) ||
    !Array.isArray(revoked) ||
    !revoked.every((entry) => typeof entry === "string")
  ) {
    throw new Error("unknown format");
  }
  return { issuer: expected, keys: keys as JsonWebKey[], revoked };
}
