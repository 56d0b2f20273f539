import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What the lines about a suite are written to. */
export interface Output {
  log(line: string): void;
}

/** Keeps the output of a suite that runs next to others, to show it in one piece. */
export class LaterOutput implements Output {
  readonly #path: string;
  readonly #file: number;

  /** @param folder of temporary files */
  constructor(folder: string, title: string) {
    this.#path = join(folder, `${title}.log`);
    this.#file = openSync(this.#path, "a");
  }

  /** Of a child process, whose output belongs to the suite. */
  get stdio(): ["ignore", number, number] {
    return ["ignore", this.#file, this.#file];
  }

  log(line: string): void {
    writeSync(this.#file, `${line}\n`);
  }

  /** Writes everything to the standard output. */
  tell(): void {
    closeSync(this.#file);
    process.stdout.write(readFileSync(this.#path));
  }
}

/**
 * Runs items in their order, several at once where they allow it.
 *
 * @param width how many may run at once with an item, itself included: 1 to run alone
 * @throws what the first failed run throws, once no other runs
 */
export async function inLanes<Item>(
  items: readonly Item[],
  width: (item: Item) => number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const below = async (count: number) => {
    while (running.size >= count) await Promise.race(running);
  };
  let last = 1;
  for (const item of items) {
    const most = width(item);
    await below(Math.min(most, last));
    if (failures.length > 0) break;
    last = most;
    const done: Promise<void> = run(item)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(done));
    running.add(done);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
