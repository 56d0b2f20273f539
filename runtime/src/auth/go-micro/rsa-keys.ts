import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { MicroError, messageOf } from "../../base/error.ts";
import { rsaVerificationKey, type VerificationKey } from "../verification-key.ts";

/**
 * The public key of a fleet, as PEM or, as go-micro takes it, base64 of PEM.
 * @throws MicroError `invalid_argument`
 */
export function readPublicKey(text: string): VerificationKey {
  return verificationKey(
    read("publicKey", () => createPublicKey(pemOf(text))),
    "publicKey",
  );
}

/**
 * The private key of a fleet.
 * @throws MicroError `invalid_argument`, also for a key that does not belong to the public one.
 */
export function readPrivateKey(text: string, publicKey: VerificationKey): KeyObject {
  const key = read("privateKey", () => createPrivateKey(pemOf(text)));
  const own = verificationKey(createPublicKey(key), "privateKey");
  if (own.material !== publicKey.material) {
    throw invalid("privateKey is not the private key of publicKey");
  }
  return key;
}

function verificationKey(key: KeyObject, option: string): VerificationKey {
  if (key.asymmetricKeyType !== "rsa") {
    throw invalid(`${option} must be an RSA key, as go-micro signs tokens by RS256`);
  }
  const reading = rsaVerificationKey(key, undefined);
  if ("key" in reading) return reading.key;
  throw invalid(`${option} must not be used: ${"bad" in reading ? reading.bad : ""}`);
}

function pemOf(text: string): string {
  return text.includes("-----BEGIN") ? text : Buffer.from(text, "base64").toString("utf8");
}

/** The reason never contains the key. */
function read(option: string, make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch (error) {
    throw invalid(`${option} must be PEM of an RSA key, or base64 of it: ${messageOf(error)}`);
  }
}

function invalid(reason: string): MicroError {
  return new MicroError("invalid_argument", `goMicroAuth: ${reason}`, { outcome: "not-executed" });
}
