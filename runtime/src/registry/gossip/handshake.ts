import type { ClusterKey, Keyring } from "./keyring.ts";
import { deriveKey } from "./keyring.ts";
import { isLaterVersion, streamMark } from "./marks.ts";

export const randomBytesOfHello = 16;
/** The client's hello: mark, key, random bytes. */
export const clientHelloBytes: number = 1 + 4 + randomBytesOfHello;
/** The server's hello: mark, random bytes. It is shorter than the client's. */
export const serverHelloBytes: number = 1 + randomBytesOfHello;

/** The keys of the two directions of a connection. */
export interface StreamKeys {
  readonly toServer: Buffer;
  readonly toClient: Buffer;
}

export function clientHello(key: ClusterKey, random: Uint8Array): Buffer {
  const hello = Buffer.alloc(clientHelloBytes);
  hello[0] = streamMark;
  hello.writeUInt32BE(key.id, 1);
  hello.set(random, 5);
  return hello;
}

export function serverHello(random: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(streamMark), random]);
}

/** The key that a client's hello names; why it is refused if there is none. */
export function readClientHello(
  hello: Buffer,
  keyring: Keyring,
):
  | { readonly key: ClusterKey; readonly random: Buffer }
  | { readonly refused: "malformed" | "laterVersion" | "foreignKey" } {
  if (isLaterVersion(hello[0], streamMark)) return { refused: "laterVersion" };
  if (hello[0] !== streamMark) return { refused: "malformed" };
  const key = keyring.find(hello.readUInt32BE(1));
  return key === undefined ? { refused: "foreignKey" } : { key, random: hello.subarray(5) };
}

/** The random bytes of a server's hello; undefined if it is malformed. */
export function readServerHello(hello: Buffer): Buffer | undefined {
  return hello[0] === streamMark ? hello.subarray(1) : undefined;
}

/** Both sides contribute random bytes, so nothing recorded can be sent again to either. */
export function streamKeys(key: ClusterKey, client: Uint8Array, server: Uint8Array): StreamKeys {
  return {
    toServer: deriveKey(key, "stream to server", client, server),
    toClient: deriveKey(key, "stream to client", client, server),
  };
}
