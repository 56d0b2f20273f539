import { resolve } from "node:path";
import { asMicroError, MicroError } from "../base/error.ts";
import { readOwnFile, replaceFile } from "../base/files.ts";
import type { ConfigTable } from "./config.ts";
import { checkTable, isTable } from "./config-table.ts";

/**
 * The last good values of sources, kept in a file for a start at which a source cannot be read. The
 * file is readable only by its owner, because configuration contains secrets, and is read only if
 * no other user can have written it.
 */
export class LastKnownGood {
  readonly #path: string;
  #wanted: string | undefined;
  #saving: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = resolve(path);
  }

  /**
   * The kept values by the name of their source; empty if nothing is kept.
   * @throws MicroError when there is a file that cannot be read or parsed.
   */
  async load(): Promise<ReadonlyMap<string, ConfigTable>> {
    const place = `last known good configuration ${this.#path}`;
    try {
      const text = await readOwnFile(this.#path);
      if (text === undefined) return new Map();
      const kept: unknown = JSON.parse(text);
      if (!isTable(kept) || !isTable(kept.sources)) throw new Error("not of this program's format");
      return new Map(
        Object.entries(kept.sources).map(([name, values]) => [
          name,
          checkTable(values, `${place}, ${name}`),
        ]),
      );
    } catch (error) {
      const { code, message } = asMicroError(error, "data_loss");
      throw new MicroError(code, `cannot read the ${place}: ${message}; delete it`, {
        cause: error,
      });
    }
  }

  /**
   * Replaces the kept values. Of several calls during one write only the last is written.
   * @throws MicroError `unavailable` when the file cannot be written.
   */
  async save(sources: ReadonlyMap<string, ConfigTable>): Promise<void> {
    this.#wanted = JSON.stringify({ format: 1, sources: Object.fromEntries(sources) });
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined;
    });
    await this.#saving;
  }

  async #write(): Promise<void> {
    try {
      while (this.#wanted !== undefined) {
        const text = this.#wanted;
        this.#wanted = undefined;
        await replaceFile(this.#path, text, { durable: true });
      }
    } catch (error) {
      throw new MicroError(
        "unavailable",
        `cannot keep the last known good configuration in ${this.#path}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
}
