import { ConnectionError, errorCode } from "./error-code.ts";
import { preface } from "./protocol.ts";

/** Checks the first bytes of a connection: a client sends a preface, and a server none. */
export class PrefaceReader {
  #at: number;

  constructor(isServer: boolean) {
    this.#at = isServer ? 0 : preface.length;
  }

  get isComplete(): boolean {
    return this.#at === preface.length;
  }

  /**
   * Returns the bytes after the preface.
   *
   * @throws ConnectionError for other bytes than those of the preface
   */
  read(chunk: Uint8Array): Uint8Array {
    let at = 0;
    while (at < chunk.length && this.#at < preface.length) {
      if (chunk[at++] !== preface[this.#at++]) {
        throw new ConnectionError(errorCode.protocolError, "received no preface of HTTP/2");
      }
    }
    return chunk.subarray(at);
  }
}
