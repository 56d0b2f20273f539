import { createPublicKey, type JsonWebKey } from "node:crypto";
import { UsageError } from "../errors.ts";
import { readInput } from "../files.ts";

/**
 * A public key from a file, as PEM or as a JSON Web Key.
 *
 * @throws UsageError if it is neither, or a private key.
 */
export async function readPublicKey(path: string): Promise<JsonWebKey> {
  const text = (await readInput(path)).toString("utf8");
  if (/PRIVATE KEY/.test(text)) {
    throw new UsageError(`${path} is a private key; openssl pkey -pubout prints the public one`);
  }
  try {
    if (text.trimStart().startsWith("{")) return JSON.parse(text) as JsonWebKey;
    return createPublicKey(text).export({ format: "jwk" });
  } catch {
    throw new UsageError(`${path} is neither a public key as PEM nor a JSON Web Key`);
  }
}
