import { MicroError } from "../base/error.ts";
import type { ConfigTable, ConfigValue } from "./config.ts";
import { checkTable, isTable, requireName } from "./config-table.ts";

/**
 * Builds a table from single values, each with its external name, such as a variable or a flag. Two
 * values for the same place are an error, whatever their order.
 */
export class EnvTree {
  readonly #place: string;
  readonly #root: Record<string, ConfigValue> = {};
  /** The external name that first set a place, by its path. */
  readonly #setBy = new Map<string, string>();

  constructor(place: string) {
    this.#place = place;
  }

  /** @throws MicroError `invalid_argument` when the place is taken, or the name is not allowed. */
  set(path: readonly string[], value: ConfigValue, setBy: string): void {
    let table = this.#root;
    for (const [i, name] of path.entries()) {
      const at = path.slice(0, i + 1);
      requireName(name, `${this.#place}, ${setBy}`, at);
      const found = Object.hasOwn(table, name) ? table[name] : undefined;
      const last = i === path.length - 1;
      if (found !== undefined && (last || !isTable(found))) throw this.#taken(at, setBy);
      if (last) {
        table[name] = value;
      } else {
        const inner: ConfigTable = isTable(found) ? found : {};
        table[name] = inner;
        table = inner as Record<string, ConfigValue>;
      }
      if (!this.#setBy.has(at.join("."))) this.#setBy.set(at.join("."), setBy);
    }
  }

  /** The values set so far, frozen. */
  table(): ConfigTable {
    return checkTable(this.#root, this.#place);
  }

  #taken(path: readonly string[], setBy: string): MicroError {
    const at = path.join(".");
    return new MicroError(
      "invalid_argument",
      `${this.#place}: ${setBy} and ${this.#setBy.get(at)} both set ${at}; keep one of them`,
    );
  }
}

/** Converts `pool_size` or `POOL-SIZE` to `poolSize`. */
export function camelCase(words: readonly string[]): string {
  return words
    .map((word, i) => (i === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join("");
}
