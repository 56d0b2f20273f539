import type { Config } from "@micro-es/runtime";
import type { ConfigTable, ConfigValue } from "@micro-es/runtime/driver";
import { isSecretName, withoutCredentials } from "@micro-es/runtime/redact";

/** A configuration value and its source. */
export interface ShownValue {
  readonly key: string;
  readonly value: ConfigValue;
  readonly source: string;
}

/** All values at and below a path, the path's own first, in the order of their keys. */
export function valuesBelow(config: Config, prefix = ""): readonly ShownValue[] {
  const found: ShownValue[] = [];
  for (const [path, value] of leavesOf(config.snapshot.values, [])) {
    const key = path.join(".");
    if (prefix !== "" && key !== prefix && !key.startsWith(`${prefix}.`)) continue;
    found.push({ key, value, source: config.sourceOf(key) ?? "" });
  }
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** A value with its secrets hidden: that of a key which says so, and credentials in URLs. */
export function masked(key: string, value: ConfigValue): ConfigValue {
  if (key.split(".").some(isSecretName)) return "[secret]";
  if (typeof value === "string") return withoutCredentials(value);
  if (Array.isArray(value)) return value.map((item: ConfigValue) => masked("", item));
  if (!isTable(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, masked(name, each)]),
  );
}

function* leavesOf(
  value: ConfigValue,
  path: readonly string[],
): Generator<readonly [path: readonly string[], value: ConfigValue]> {
  if (!isTable(value)) {
    yield [path, value];
    return;
  }
  for (const [name, each] of Object.entries(value)) yield* leavesOf(each, [...path, name]);
}

function isTable(value: ConfigValue): value is ConfigTable {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
