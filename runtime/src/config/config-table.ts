import { MicroError } from "../base/error.ts";
import type { ConfigTable, ConfigValue } from "./config.ts";

/** Maximum nesting of tables and lists; deeper nesting is rejected. */
const maxDepth = 32;
/** Names through which a merge could reach the prototype of all objects. */
const refusedNames: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

export function isTable(value: unknown): value is ConfigTable {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A deeply frozen copy of a source's values.
 * @param place names the source in errors.
 * @throws MicroError `invalid_argument` for names that could reach a prototype, for values nested
 * too deeply, and for values of types that configuration does not support.
 */
export function checkTable(value: unknown, place: string): ConfigTable {
  if (!isTable(value) || value instanceof Date) {
    throw refuse(place, [], `expected a table of values by name, found ${describe(value)}`);
  }
  return copyTable(value, place, []);
}

function copyTable(table: ConfigTable, place: string, path: readonly string[]): ConfigTable {
  const copy: Record<string, ConfigValue> = {};
  for (const [name, value] of Object.entries(table)) {
    const at = [...path, name];
    requireName(name, place, at);
    copy[name] = copyValue(value, place, at);
  }
  return Object.freeze(copy);
}

function copyValue(value: unknown, place: string, path: readonly string[]): ConfigValue {
  if (path.length > maxDepth) throw refuse(place, path, `nested deeper than ${maxDepth} levels`);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw refuse(place, path, `${value} is not a number that configuration can hold`);
  }
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    return Object.freeze(value.map((item, i) => copyValue(item, place, [...path, String(i)])));
  }
  if (isTable(value)) return copyTable(value, place, path);
  throw refuse(place, path, `expected text, a number, a list or a table, found ${describe(value)}`);
}

/** @throws MicroError `invalid_argument` */
export function requireName(name: string, place: string, path: readonly string[]): void {
  if (refusedNames.has(name)) {
    throw refuse(place, path, `the name ${name} is refused; rename it`);
  }
}

/** The value at a path of names; undefined if there is none. */
export function valueAt(table: ConfigTable, path: readonly string[]): ConfigValue | undefined {
  let value: ConfigValue | undefined = table;
  for (const name of path) {
    if (!isTable(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** The names in a path such as `database.pool.size`. */
export function parsePath(path: string): readonly string[] {
  const names = path.split(".");
  if (names.includes("")) {
    throw new MicroError(
      "invalid_argument",
      `${JSON.stringify(path)} is not the path of a configuration value; write names with dots between them, such as database.pool.size`,
    );
  }
  return names;
}

/** Whether two values are deeply equal; the order of names does not matter. */
export function equalValues(a: ConfigValue | undefined, b: ConfigValue | undefined): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => equalValues(item, b[i]));
  }
  if (!isTable(a) || !isTable(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equalValues(a[name], b[name]))
  );
}

/** A value as shown in an error: its type, and the value itself if it is short. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") {
    const text = value.length > 40 ? `${value.slice(0, 40)}…` : value;
    return `text ${JSON.stringify(text)}`;
  }
  if (isTable(value)) return "a table";
  return `${typeof value} ${String(value).slice(0, 40)}`;
}

function refuse(place: string, path: readonly string[], reason: string): MicroError {
  const at = path.length === 0 ? "" : ` at ${path.join(".").slice(0, 200)}`;
  return new MicroError("invalid_argument", `${place}${at}: ${reason}`);
}
