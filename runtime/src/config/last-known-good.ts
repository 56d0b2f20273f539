import { open, readFile, rename } from "node:fs/promises";
import { resolve } from "node:path";
import { asMicroError, MicroError } from "../error.ts";
import type { ConfigTable } from "./config.ts";
import { checkTable, isTable } from "./table.ts";

/**
 * The last good values of sources, kept in a file for a start at which a source cannot be read. The file is
 * readable by its owner only, because configuration has secrets.
 */
export class LastKnownGood {
  readonly #path: string;
  #wanted: string | undefined;
  #saving: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = resolve(path);
  }

  /**
   * The kept values by the name of their source; empty when nothing is kept.
   * @throws MicroError when there is a file, and it cannot be read or understood.
   */
  async load(): Promise<ReadonlyMap<string, ConfigTable>> {
    const place = `last known good configuration ${this.#path}`;
    try {
      const kept: unknown = JSON.parse(await readFile(this.#path, "utf8"));
      if (!isTable(kept) || !isTable(kept.sources)) throw new Error("not of this program's format");
      return new Map(
        Object.entries(kept.sources).map(([name, values]) => [
          name,
          checkTable(values, `${place}, ${name}`),
        ]),
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
      const { code, message } = asMicroError(error, "data_loss");
      throw new MicroError(code, `cannot read the ${place}: ${message}; delete it`, {
        cause: error,
      });
    }
  }

  /**
   * Keeps values in place of those before. Of several calls during one writing only the last is written.
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
    const temporary = `${this.#path}.${process.pid}.new`;
    try {
      while (this.#wanted !== undefined) {
        const text = this.#wanted;
        this.#wanted = undefined;
        const handle = await open(temporary, "w", 0o600);
        try {
          await handle.writeFile(text);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, this.#path);
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
