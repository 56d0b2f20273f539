import { type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import type { AuthAlgorithm } from "./auth.ts";
import { loadJose } from "./load-jose.ts";
import type { TokenTable } from "./token-form.ts";
import type { VerificationKey } from "./verification-key.ts";

// jose does Ed25519 by WebCrypto, and Node 20.19 warns every program on its terminal that this is
// experimental.
const signEd25519 = promisify<null, Uint8Array, KeyObject, Buffer>(sign);
const verifyEd25519 = promisify<null, Uint8Array, KeyObject, Uint8Array, boolean>(verify);

/** Writes a token: a JWS in compact form. */
export async function signedToken(
  header: { readonly alg: AuthAlgorithm; readonly kid: string; readonly typ: string },
  claims: TokenTable,
  key: KeyObject,
): Promise<string> {
  const payload = JSON.stringify(claims);
  if (header.alg === "EdDSA") {
    const signed = `${base64Url(JSON.stringify(header))}.${base64Url(payload)}`;
    return `${signed}.${(await signEd25519(null, Buffer.from(signed), key)).toString("base64url")}`;
  }
  const { CompactSign } = await loadJose();
  return new CompactSign(Buffer.from(payload)).setProtectedHeader(header).sign(key);
}

/** Whether a token of three parts, whose header names the algorithm of the key, is signed by it. */
export async function isSignedBy(
  token: string,
  { key, algorithm }: VerificationKey,
): Promise<boolean> {
  if (algorithm === "EdDSA") {
    const end = token.lastIndexOf(".");
    const signature = Buffer.from(token.slice(end + 1), "base64url");
    return verifyEd25519(null, Buffer.from(token.slice(0, end)), key, signature);
  }
  const { compactVerify, errors } = await loadJose();
  try {
    await compactVerify(token, key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return false;
    throw error;
  }
}

function base64Url(text: string): string {
  return Buffer.from(text).toString("base64url");
}
