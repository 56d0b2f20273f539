import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * The actions of a process, line by line in a file of its own. A line has reached the operating
 * system when `write` returns, so it survives SIGKILL.
 */
export class Ledger {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  write(entry: object): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** All entries of the ledgers in a directory. A last line that was torn by a kill is ignored. */
export function readLedgers<T>(directory: string): T[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(".ledger"))
    .flatMap((file) => {
      const lines = readFileSync(join(directory, file), "utf8").split("\n");
      lines.pop();
      return lines.map((line) => JSON.parse(line) as T);
    });
}
