import { createHash, createHmac } from "node:crypto";
import { MicroError } from "../../base/error.ts";

/** A shared key of a cluster. */
export interface ClusterKey {
  /** The number that packets name it by. */
  readonly id: number;
  readonly bytes: Buffer;
}

/** Maximum number of keys at a time. */
const maxKeys = 16;

/** The key of a cluster without one: everybody knows it. */
export const publicKey: string = Buffer.alloc(32).toString("base64");

/**
 * The keys of a cluster: the first seals, all open. A key is replaced without loss in three steps:
 * all members add it as the last, all use it as the first, all remove the old one.
 */
export class Keyring {
  #keys: readonly ClusterKey[] = [];

  constructor(keys: readonly string[]) {
    this.replace(keys);
  }

  get first(): ClusterKey {
    return this.#keys[0]!;
  }

  /** The names of the keys in packets, in hexadecimal. */
  get ids(): readonly string[] {
    return this.#keys.map(({ id }) => id.toString(16).padStart(8, "0"));
  }

  find(id: number): ClusterKey | undefined {
    return this.#keys.find((key) => key.id === id);
  }

  /** @throws MicroError `invalid_argument` for what is not a list of keys; the old ones stay. */
  replace(keys: readonly string[]): void {
    if (keys.length < 1 || keys.length > maxKeys) {
      throw invalid(`a cluster has 1 to ${maxKeys} keys, not ${keys.length}`);
    }
    this.#keys = keys.map(parseKey);
  }
}

/** A key for one purpose; `context` is public and makes it different from all others. */
export function deriveKey(key: ClusterKey, purpose: string, ...context: Uint8Array[]): Buffer {
  const hmac = createHmac("sha256", key.bytes).update(`micro-es gossip 1 ${purpose}\0`);
  for (const part of context) hmac.update(part);
  return hmac.digest();
}

function parseKey(text: string): ClusterKey {
  const bytes = /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
    ? Buffer.from(text, "base64")
    : /^[\da-f]{64}$/i.test(text)
      ? Buffer.from(text, "hex")
      : undefined;
  if (bytes?.length !== 32) {
    throw invalid(
      "a key must be 32 random bytes in base64 or hexadecimal, as `openssl rand -base64 32` makes them",
    );
  }
  const id = createHash("sha256").update("micro-es gossip key\0").update(bytes).digest();
  return { id: id.readUInt32BE(0), bytes };
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", `gossip: ${message}`, { outcome: "not-executed" });
}
