import { createCipheriv, createDecipheriv } from "node:crypto";
import type { ClusterKey, Keyring } from "./keyring.ts";
import { deriveKey } from "./keyring.ts";
import { maxDatagramBytes, maxMembers } from "./limits.ts";
import { datagramMark, isLaterVersion } from "./marks.ts";
import { ReplayWindow } from "./replay-window.ts";

const headerBytes = 19;
const tagBytes = 16;
/** Maximum number of senders whose sequence numbers are remembered. */
const maxSenders = 2 * maxMembers;

export type OpenedDatagram =
  | { readonly from: string; readonly payload: Buffer }
  | { readonly refused: "malformed" | "laterVersion" | "foreignKey" | "forged" | "replayed" };

interface Sender {
  readonly window: ReplayWindow;
  /** The derived key, by that of the cluster. */
  keyId: number;
  key: Buffer;
}

/**
 * Seals datagrams with AES-256-GCM and opens those of others. Each sender has a key of its own,
 * derived from that of the cluster and its id, which is new for each start; its sequence numbers
 * are the nonces. The id of the receiver is authenticated as well, so that a datagram is accepted
 * by that member alone, and by it once.
 */
export class DatagramSealer {
  readonly #id: Buffer;
  readonly #keyring: Keyring;
  readonly #senders = new Map<string, Sender>();
  #own: { readonly cluster: ClusterKey; readonly key: Buffer } | undefined;
  #sequence = 0;

  /** @param id of this member. */
  constructor(id: string, keyring: Keyring) {
    this.#id = Buffer.from(id, "hex");
    this.#keyring = keyring;
  }

  /** @param to the id of the receiver. */
  seal(to: string, payload: Uint8Array): Buffer {
    const key = this.#ownKey();
    const packet = Buffer.allocUnsafe(headerBytes + payload.length + tagBytes);
    packet[0] = datagramMark;
    packet.writeUInt32BE(key.cluster.id, 1);
    packet.set(this.#id, 5);
    packet.writeUIntBE(++this.#sequence, 13, 6);
    const header = packet.subarray(0, headerBytes);
    const cipher = createCipheriv("aes-256-gcm", key.key, nonceOf(header));
    cipher.setAAD(Buffer.concat([header, Buffer.from(to, "hex")]));
    packet.set(cipher.update(payload), headerBytes);
    cipher.final();
    packet.set(cipher.getAuthTag(), headerBytes + payload.length);
    return packet;
  }

  /** Opens a datagram; checks that need no decryption come first. */
  open(packet: Buffer): OpenedDatagram {
    if (isLaterVersion(packet[0], datagramMark)) return { refused: "laterVersion" };
    const isSized = packet.length >= headerBytes + tagBytes && packet.length <= maxDatagramBytes;
    if (!isSized || packet[0] !== datagramMark) return { refused: "malformed" };
    const cluster = this.#keyring.find(packet.readUInt32BE(1));
    if (cluster === undefined) return { refused: "foreignKey" };
    const from = packet.toString("hex", 5, 13);
    const sequence = packet.readUIntBE(13, 6);
    const known = this.#senders.get(from);
    if (known !== undefined && !known.window.isNew(sequence)) return { refused: "replayed" };
    const key =
      known?.keyId === cluster.id ? known.key : senderKey(cluster, packet.subarray(5, 13));
    const payload = decrypt(packet, key, this.#id);
    if (payload === undefined) return { refused: "forged" };
    this.#note(from, sequence, cluster.id, key);
    return { from, payload };
  }

  /** Remembers a sequence number, of senders that have a key of the cluster only. */
  #note(from: string, sequence: number, keyId: number, key: Buffer): void {
    const sender = this.#senders.get(from) ?? { window: new ReplayWindow(), keyId, key };
    sender.keyId = keyId;
    sender.key = key;
    sender.window.note(sequence);
    // Inserted again as the last, so that the map stays in order of use.
    this.#senders.delete(from);
    this.#senders.set(from, sender);
    if (this.#senders.size <= maxSenders) return;
    const [oldest = ""] = this.#senders.keys();
    this.#senders.delete(oldest);
  }

  #ownKey(): { readonly cluster: ClusterKey; readonly key: Buffer } {
    const cluster = this.#keyring.first;
    if (this.#own?.cluster !== cluster) {
      this.#own = { cluster, key: senderKey(cluster, this.#id) };
    }
    return this.#own!;
  }
}

function senderKey(cluster: ClusterKey, id: Uint8Array): Buffer {
  return deriveKey(cluster, "datagram", id);
}

/** The sequence number, in 12 bytes; the key belongs to the sender alone. */
function nonceOf(header: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.set(header.subarray(13, headerBytes), 6);
  return nonce;
}

function decrypt(packet: Buffer, key: Buffer, receiver: Buffer): Buffer | undefined {
  const header = packet.subarray(0, headerBytes);
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(header), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.concat([header, receiver]));
  decipher.setAuthTag(packet.subarray(packet.length - tagBytes));
  const payload = decipher.update(packet.subarray(headerBytes, packet.length - tagBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return payload;
}
