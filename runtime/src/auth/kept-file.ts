import { resolve } from "node:path";
import { asMicroError, MicroError } from "../base/error.ts";
import { readOwnFile, replaceFile } from "../base/files.ts";

/**
 * A file that keeps what was last known, for a start while its source cannot be reached. It is read
 * only if no other user can have written it, and readable only by its owner.
 */
export class KeptFile<T extends object> {
  readonly #path: string;
  readonly #what: string;
  readonly #read: (kept: { readonly [K in keyof T]?: unknown }) => T;
  #wanted: string | undefined;
  #saving: Promise<void> | undefined;

  /**
   * @param what names the content, for messages
   * @param read checks what the file contains, and throws if that cannot be used
   */
  constructor(
    path: string,
    what: string,
    read: (kept: { readonly [K in keyof T]?: unknown }) => T,
  ) {
    this.#path = resolve(path);
    this.#what = what;
    this.#read = read;
  }

  /**
   * What is kept; undefined if nothing is.
   * @throws MicroError if the file cannot be read, used or trusted.
   */
  async load(): Promise<T | undefined> {
    try {
      const text = await readOwnFile(this.#path);
      if (text === undefined) return undefined;
      const kept = JSON.parse(text) as ({ readonly format?: unknown } & T) | null;
      if (typeof kept !== "object" || kept?.format !== 1) throw new Error("unknown format");
      return this.#read(kept);
    } catch (error) {
      const { code, message } = asMicroError(error, "data_loss");
      throw new MicroError(code, `cannot read ${this.#what} kept in ${this.#path}: ${message}`, {
        cause: error,
      });
    }
  }

  /**
   * Replaces what is kept. Of several calls during one write only the last is written.
   * @throws MicroError `unavailable` when the file cannot be written.
   */
  async save(content: T): Promise<void> {
    this.#wanted = JSON.stringify({ format: 1, ...content });
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined;
    });
    await this.#saving;
  }

  /** Resolves when nothing is being written. */
  async saved(): Promise<void> {
    await this.#saving?.catch(() => {});
  }

  async #write(): Promise<void> {
    try {
      while (this.#wanted !== undefined) {
        const text = this.#wanted;
        this.#wanted = undefined;
        await replaceFile(this.#path, text, { durable: true });
      }
    } catch (error) {
      const { message } = asMicroError(error);
      throw new MicroError(
        "unavailable",
        `cannot keep ${this.#what} in ${this.#path}: ${message}`,
        {
          cause: error,
        },
      );
    }
  }
}
