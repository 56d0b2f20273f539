import { type FileHandle, open, stat } from "node:fs/promises";
import { type Deadline, deadlineAfter, monotonicNow } from "../../base/deadline.ts";
import { MicroError, messageOf } from "../../base/error.ts";
import { checkOptions } from "../../base/option-check.ts";
import type { CredentialSource, IssuedCredential } from "../../call/credential-source.ts";
import { BearerCredential } from "./bearer-credential.ts";
import { services, type TokenServicesOptions } from "./static-token.ts";

/** How often the file is looked at while calls are made, in milliseconds. */
const lookEveryMs = 1_000;
/** The largest file, in bytes. */
const maxBytes = 16 * 1024;

/**
 * Presents the token in a file, such as a projected token of Kubernetes. While calls are made, the
 * file is looked at every second, and read again when it has changed. If it cannot be read then, or
 * does not contain a token, the last token stays in use.
 *
 * @example
 * ```ts
 * import { createClient } from "@micro-es/runtime";
 * import { fileToken } from "@micro-es/runtime/auth";
 *
 * const client = createClient({ credentials: fileToken("/var/run/secrets/tokens/stock") });
 * ```
 */
export function fileToken(path: string, options: TokenServicesOptions = {}): CredentialSource {
  checkOptions("fileToken", options, { services });
  return new FileToken(path, options.services);
}

class FileToken implements CredentialSource {
  readonly #path: string;
  readonly #services: TokenServicesOptions["services"];
  #current: BearerCredential | undefined;
  /** The state of the file that {@link #current} was read from. */
  #mark = "";
  #lookAt: Deadline = 0;
  #looking: Promise<BearerCredential> | undefined;

  constructor(path: string, allowed: TokenServicesOptions["services"]) {
    this.#path = path;
    this.#services = allowed;
  }

  credential(): IssuedCredential | Promise<IssuedCredential> {
    const current = this.#current;
    if (current === undefined) return this.#look();
    if (monotonicNow() >= this.#lookAt) this.#look().catch(() => undefined);
    return current;
  }

  async rejected(credential: IssuedCredential): Promise<boolean> {
    if (credential !== this.#current) return true;
    return (await this.#look()) !== credential;
  }

  #look(): Promise<BearerCredential> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined;
      this.#lookAt = deadlineAfter(lookEveryMs);
    });
    return this.#looking;
  }

  async #read(): Promise<BearerCredential> {
    let handle: FileHandle | undefined;
    try {
      const { dev, ino, size, mtimeNs } = await stat(this.#path, { bigint: true });
      const mark = `${dev}:${ino}:${size}:${mtimeNs}`;
      if (this.#current !== undefined && mark === this.#mark) return this.#current;
      handle = await open(this.#path);
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(maxBytes + 1));
      const text = buffer.toString("utf8", 0, bytesRead).trim();
      this.#current = new BearerCredential(text, this.#services);
      this.#mark = mark;
      return this.#current;
    } catch (cause) {
      throw new MicroError(
        "unavailable",
        `cannot read a token from ${this.#path}: ${messageOf(cause)}`,
        { outcome: "not-executed", cause },
      );
    } finally {
      await handle?.close();
    }
  }
}
