import { Metadata } from "../../base/metadata.ts";
import type { Credential } from "../../call/account.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Settings } from "./hello.ts";
import { bearerScheme, frameType } from "./protocol.ts";

/** The connection that credentials are sent on. */
interface CredentialConnection {
  readonly writer: FrameWriter;
  readonly peerSettings: Settings;
}

/**
 * The credentials that a server remembers for the calls of a connection: each is sent once, and
 * calls name it by its number.
 */
export class SentCredentials {
  readonly #connection: CredentialConnection;
  /** The least recently used first. */
  readonly #numbers = new Map<Credential, number>();
  /** The credential of the last call, which is usually that of the next call too. */
  #last: Credential | undefined;
  #lastNumber = 0;

  constructor(connection: CredentialConnection) {
    this.#connection = connection;
  }

  /**
   * Returns the number of a credential, after sending the credential if the server does not have
   * it; 0 if the server remembers none, or has not said so yet. No frame may be open.
   */
  numberOf(credential: Credential): number {
    if (credential === this.#last) return this.#lastNumber;
    const most = this.#connection.peerSettings.credentials;
    if (most === 0) return 0;
    let number = this.#numbers.get(credential);
    if (number === undefined) number = this.#send(credential, Math.min(most, 0xffff));
    else this.#numbers.delete(credential);
    this.#numbers.set(credential, number);
    this.#last = credential;
    this.#lastNumber = number;
    return number;
  }

  #send({ token }: Credential, most: number): number {
    let number = this.#numbers.size + 1;
    if (number > most) {
      const [oldest, freed] = this.#numbers.entries().next().value!;
      this.#numbers.delete(oldest);
      number = freed;
    }
    const { writer } = this.#connection;
    writer.open(frameType.credential, 0, number, 0, 0);
    writer.bytes(Buffer.from(`${String.fromCharCode(bearerScheme)}${token}`, "latin1"));
    writer.close();
    return number;
  }
}

/** Encodes metadata, with a credential that the server does not remember; undefined if empty. */
export function encodedMetadata(
  metadata: Metadata | undefined,
  credential: Credential | undefined,
): Uint8Array | undefined {
  if (credential === undefined) return metadata?.isEmpty === false ? metadata.encode() : undefined;
  const all = new Metadata(metadata);
  all.set("authorization", `Bearer ${credential.token}`);
  return all.encode();
}
