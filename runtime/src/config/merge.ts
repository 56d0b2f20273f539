import type { ConfigTable, ConfigValue } from "./config.ts";
import { isTable } from "./config-table.ts";

/** The values of one source. */
export interface Layer {
  readonly source: string;
  readonly values: ConfigTable;
}

/** The merged values of several sources. */
export interface Merged {
  readonly values: ConfigTable;
  /** Name of the source of each leaf, by its path. */
  readonly sources: ReadonlyMap<string, string>;
}

/**
 * Separates names in a key of {@link Merged.sources}; not a dot, because a name may contain one.
 */
const between = "\0";

/** The key of a path in {@link Merged.sources}. */
export function pathKey(path: readonly string[]): string {
  return path.join(between);
}

/**
 * Merges layers, later ones overriding earlier ones: tables name by name, everything else as a
 * whole.
 */
export function merge(layers: readonly Layer[]): Merged {
  const sources = new Map<string, string>();
  return { values: mergeTables(layers, [], sources), sources };
}

interface Candidate {
  readonly source: string;
  readonly value: ConfigValue;
}

function mergeTables(
  layers: readonly Layer[],
  path: readonly string[],
  sources: Map<string, string>,
): ConfigTable {
  const candidates = new Map<string, Candidate[]>();
  for (const { source, values } of layers) {
    for (const [name, value] of Object.entries(values)) {
      const others = candidates.get(name);
      if (others === undefined) candidates.set(name, [{ source, value }]);
      else others.push({ source, value });
    }
  }
  const merged: Record<string, ConfigValue> = {};
  for (const [name, values] of candidates) {
    const at = [...path, name];
    const tables = tablesAtTheEnd(values);
    if (tables.length > 0) {
      merged[name] = mergeTables(tables, at, sources);
    } else {
      const { source, value } = values.at(-1)!;
      merged[name] = value;
      sources.set(pathKey(at), source);
    }
  }
  return Object.freeze(merged);
}

/**
 * The tables after the last value that is not a table: that value replaced everything before it.
 */
function tablesAtTheEnd(candidates: readonly Candidate[]): Layer[] {
  const tables: Layer[] = [];
  for (const { source, value } of candidates) {
    if (isTable(value)) tables.push({ source, values: value });
    else tables.length = 0;
  }
  return tables;
}
