import { MicroError } from "../../base/error.ts";
import { readOwnFile, replaceFile } from "../../base/files.ts";
import { parseJson } from "../../base/json-syntax.ts";
import { isTable } from "../token-form.ts";

/** A key set with the time it was read at. */
export interface KeptKeySet {
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly readAtMs: number;
}

/** How far the clock may have been set back since the file was written, in milliseconds. */
const toleranceMs = 5 * 60_000;

/**
 * The copy of a key set on disk, with which a process starts while the issuer is unreachable. Only
 * its owner can read and write it, because a process trusts the keys in it.
 */
export class KeySetCopy {
  readonly #path: string;
  readonly #place: string;

  /** @param place where the set comes from; a copy of another one is not used. */
  constructor(path: string, place: string) {
    this.#path = path;
    this.#place = place;
  }

  /**
   * Undefined if there is no copy, or the clock says that it was made in the future.
   * @throws MicroError `permission_denied` if others may have written it; `data_loss` if it is
   * damaged.
   */
  async read(): Promise<KeptKeySet | undefined> {
    const content = await readOwnFile(this.#path);
    if (content === undefined) return undefined;
    const result = parseJson(content);
    const kept = "value" in result ? result.value : undefined;
    if (!isTable(kept) || typeof kept.keySet !== "string" || typeof kept.readAtMs !== "number") {
      throw new MicroError(
        "data_loss",
        `the copy of a key set ${this.#path} is damaged; remove it`,
      );
    }
    const { keySet: text, readAtMs, place } = kept;
    if (place !== this.#place || readAtMs > Date.now() + toleranceMs) return undefined;
    return { text, readAtMs };
  }

  async write({ text, readAtMs }: KeptKeySet): Promise<void> {
    const content = { place: this.#place, readAtMs, keySet: text };
    await replaceFile(this.#path, `${JSON.stringify(content)}\n`);
  }
}
