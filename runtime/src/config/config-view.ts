import { asMicroError, MicroError } from "../base/error.ts";
import type { Config, ConfigReader, ConfigSnapshot } from "./config.ts";
import { isTable, parsePath, valueAt } from "./config-table.ts";
import { type Merged, pathKey } from "./merge.ts";

/** One readable state of the configuration; the argument of a validation. */
export type ConfigView = Pick<Config, "snapshot" | "get" | "has" | "sourceOf">;

/** @param merged the values with their sources; the snapshot has the same values. */
export function createView(snapshot: ConfigSnapshot, merged: Merged): ConfigView {
  return new View(snapshot, merged);
}

class View implements ConfigView {
  readonly snapshot: ConfigSnapshot;
  readonly #merged: Merged;

  constructor(snapshot: ConfigSnapshot, merged: Merged) {
    this.snapshot = snapshot;
    this.#merged = merged;
  }

  get<T>(path: string, reader: ConfigReader<T>, fallback?: T): T {
    const value = valueAt(this.#merged.values, parsePath(path)) ?? undefined;
    if (value === undefined && fallback !== undefined) return fallback;
    try {
      return reader(value, path);
    } catch (error) {
      const { code, message } = asMicroError(error, "invalid_argument");
      const source = value === undefined ? undefined : this.#origin(path);
      const by = source === undefined ? "" : ` (set by ${source})`;
      throw new MicroError(code, `${message}${by}`, { cause: error });
    }
  }

  has(path: string): boolean {
    return (valueAt(this.#merged.values, parsePath(path)) ?? null) !== null;
  }

  sourceOf(path: string): string | undefined {
    return this.#merged.sources.get(pathKey(parsePath(path)));
  }

  /** The sources of a value or, for a table, of everything in it. */
  #origin(path: string): string | undefined {
    const key = pathKey(parsePath(path));
    const exact = this.#merged.sources.get(key);
    if (exact !== undefined) return exact;
    if (!isTable(valueAt(this.#merged.values, parsePath(path)))) return undefined;
    const below = [...this.#merged.sources].filter(([at]) => at.startsWith(`${key}\0`));
    const names = new Set(below.map(([, source]) => source));
    return names.size === 0 ? undefined : [...names].join(", ");
  }
}
