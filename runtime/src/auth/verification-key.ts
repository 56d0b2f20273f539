import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { messageOf } from "../base/error.ts";
import type { Awaitable } from "../call/call.ts";
import type { AuthAlgorithm } from "./auth.ts";
import { ed25519PointProblem } from "./ed25519-point.ts";
import { isTable } from "./token-form.ts";
import { algorithmNamed } from "./token-policy.ts";

/** A public key that verifies tokens. The key, and not the token, decides the algorithm. */
export interface VerificationKey {
  /** The `kid` by which tokens name it; undefined for a key that tokens do not name. */
  readonly id: string | undefined;
  readonly algorithm: AuthAlgorithm;
  readonly key: KeyObject;
  /** Length of its signatures, in bytes. */
  readonly signatureBytes: number;
  /** Equal for equal keys. */
  readonly material: string;
}

/** The keys of an issuer. */
export interface KeySource {
  /**
   * Returns the key with the id, possibly after it was loaded; undefined if there is none.
   * @throws MicroError `unavailable` if that cannot be known.
   */
  key(id: string | undefined): Awaitable<VerificationKey | undefined>;
  /** Whether a key that was returned has not been removed since. */
  holds(key: VerificationKey): boolean;
}

/**
 * The kind of a JWK: a key that verifies tokens; a key for something else, which is legitimate; or
 * a key that must not be used, with the reason.
 */
export type JwkReading =
  | { readonly key: VerificationKey }
  | { readonly unsuitable: string }
  | { readonly bad: string };

const minRsaBits = 2_048;
/** Verifying by a longer key takes so long that its publisher could stop the process. */
const maxRsaBits = 8_192;
const maxKeyIdLength = 64;

/** Members of a JWK that are private, or a secret. */
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] as const;

/** Reads a JSON Web Key of a key set. */
export function readJwk(jwk: unknown): JwkReading {
  if (!isTable(jwk)) return { bad: "it is not an object" };
  const { kty, crv, kid, use, alg, key_ops: operations } = jwk;
  if (kty === "oct") return { bad: "it is a symmetric key, which is a secret" };
  for (const name of privateMembers) {
    if (Object.hasOwn(jwk, name)) {
      return { bad: `it has the member ${name}, so the key is private or secret, and published` };
    }
  }
  if (use !== undefined && use !== "sig") return { unsuitable: "it is not for signatures (use)" };
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return { unsuitable: "it is not for verifying (key_ops)" };
  }
  const algorithm = algorithmOf(kty, crv);
  if (algorithm === undefined)
    return { unsuitable: "its type is not OKP Ed25519, EC P-256 or RSA" };
  if (alg !== undefined && algorithmNamed(alg) !== algorithm) {
    return { unsuitable: "its algorithm (alg) is not EdDSA, ES256 or RS256" };
  }
  if (typeof kid !== "string" || kid === "" || kid.length > maxKeyIdLength) {
    return { bad: `its kid is not a string of 1 to ${maxKeyIdLength} characters` };
  }
  return read(jwk as JsonWebKey, kid, algorithm);
}

/**
 * Wraps a public key that is not from a key set.
 * @returns the reason, if the key is not accepted.
 */
export function rsaVerificationKey(key: KeyObject, id: string | undefined): JwkReading {
  const { n = "", e = "" } = key.export({ format: "jwk" });
  const problem = rsaProblem(n, e);
  if (problem !== undefined) return { bad: problem };
  return {
    key: {
      id,
      algorithm: "RS256",
      key,
      signatureBytes: Math.ceil(bitsOf(n) / 8),
      material: `RSA ${n} ${e}`,
    },
  };
}

function algorithmOf(kty: unknown, crv: unknown): AuthAlgorithm | undefined {
  if (kty === "RSA") return "RS256";
  if (kty === "EC" && crv === "P-256") return "ES256";
  return kty === "OKP" && crv === "Ed25519" ? "EdDSA" : undefined;
}

function read(jwk: JsonWebKey, id: string, algorithm: AuthAlgorithm): JwkReading {
  const { kty, crv, x, y, n, e } = jwk;
  const members = algorithm === "RS256" ? { n, e } : algorithm === "ES256" ? { x, y } : { x };
  for (const [name, value] of Object.entries(members)) {
    if (!isBase64Url(value)) return { bad: `its member ${name} is not base64url` };
  }
  if (algorithm === "EdDSA") {
    const problem = ed25519PointProblem(Buffer.from(x!, "base64url"));
    if (problem !== undefined) return { bad: problem };
  }
  let key: KeyObject;
  try {
    // The rest of the members, such as ext, must not matter.
    const publicJwk = { kty, ...(crv !== undefined && { crv }), ...members } as JsonWebKey;
    key = createPublicKey({ key: publicJwk, format: "jwk" });
  } catch (error) {
    return { bad: `it cannot be read: ${messageOf(error)}` };
  }
  if (algorithm === "RS256") return rsaVerificationKey(key, id);
  const material = `${crv} ${x} ${y ?? ""}`;
  return { key: { id, algorithm, key, signatureBytes: 64, material } };
}

function isBase64Url(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9_-]+$/.test(value);
}

function rsaProblem(n: string, e: string): string | undefined {
  const bits = bitsOf(n);
  if (bits < minRsaBits) return `its modulus has ${bits} bits, and ${minRsaBits} are needed`;
  if (bits > maxRsaBits) return `its modulus has ${bits} bits, and ${maxRsaBits} are the most`;
  const exponent = Buffer.from(e, "base64url");
  const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
  if (!isOdd || bitsOf(e) < 2 || bitsOf(e) > 32) {
    return "its exponent is not an odd number from 3 to 2^32";
  }
  const isOddModulus = ((Buffer.from(n, "base64url").at(-1) ?? 0) & 1) === 1;
  return isOddModulus ? undefined : "its modulus is an even number";
}

function bitsOf(base64url: string): number {
  const bytes = Buffer.from(base64url, "base64url");
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first]!) + 24;
}
