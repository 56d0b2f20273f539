import { createPrivateKey, generateKeyPair, type JsonWebKey, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { MicroError } from "../../base/error.ts";
import type { AuthAlgorithm } from "../auth.ts";
import { loadJose } from "../load-jose.ts";
import type { NewKey, RingKey } from "./key-ring.ts";
import { randomId } from "./random-id.ts";

const generate = promisify(generateKeyPair);

/** Wraps private keys by a key of the configuration, so that a copy of the store signs nothing. */
export class KeyWrap {
  readonly #key: Uint8Array | undefined;

  /** @param key 32 bytes; undefined stores private keys as they are */
  constructor(key: Uint8Array | undefined) {
    this.#key = key;
  }

  get wraps(): boolean {
    return this.#key !== undefined;
  }

  async wrap(id: string, jwk: JsonWebKey): Promise<string> {
    const text = JSON.stringify(jwk);
    if (this.#key === undefined) return text;
    const { CompactEncrypt } = await loadJose();
    return new CompactEncrypt(new TextEncoder().encode(text))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid: id })
      .encrypt(this.#key);
  }

  /** @throws MicroError `failed_precondition` if the key that wrapped it is another one. */
  async unwrap({ id, privateKey }: RingKey): Promise<KeyObject> {
    const isWrapped = !privateKey.startsWith("{");
    if (!isWrapped) return privateKeyOf(privateKey, id);
    if (this.#key === undefined) {
      throw cannotUnwrap(id, "the keys in the store are wrapped; set keyEncryptionKey");
    }
    const { compactDecrypt } = await loadJose();
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(privateKey, this.#key, {
        keyManagementAlgorithms: ["dir"],
        contentEncryptionAlgorithms: ["A256GCM"],
      });
      if (protectedHeader.kid !== id) throw new Error("it is another key");
      return privateKeyOf(new TextDecoder().decode(plaintext), id);
    } catch (cause) {
      throw cannotUnwrap(id, "keyEncryptionKey is not the one that wrapped it", cause);
    }
  }
}

function privateKeyOf(text: string, id: string): KeyObject {
  try {
    return createPrivateKey({ key: JSON.parse(text) as JsonWebKey, format: "jwk" });
  } catch (cause) {
    throw cannotUnwrap(id, "the record is damaged", cause);
  }
}

function cannotUnwrap(id: string, why: string, cause?: unknown): MicroError {
  return new MicroError("failed_precondition", `cannot sign by the key ${id}: ${why}`, {
    outcome: "not-executed",
    cause,
  });
}

/** Makes a key pair for signatures. */
export async function makeKey(algorithm: AuthAlgorithm, wrap: KeyWrap): Promise<NewKey> {
  const { publicKey, privateKey } = await pairFor(algorithm);
  const id = randomId(12);
  return {
    id,
    algorithm,
    publicKey: {
      ...publicKey.export({ format: "jwk" }),
      kid: id,
      use: "sig",
      alg: algorithm,
    },
    privateKey: await wrap.wrap(id, privateKey.export({ format: "jwk" })),
  };
}

function pairFor(
  algorithm: AuthAlgorithm,
): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  switch (algorithm) {
    case "EdDSA":
      return generate("ed25519");
    case "ES256":
      return generate("ec", { namedCurve: "P-256" });
    case "RS256":
      return generate("rsa", { modulusLength: 2_048 });
  }
}
