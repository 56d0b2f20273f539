import { MicroError } from "../base/error.ts";
import { parseJson } from "../base/json-syntax.ts";
import {
  durationTextInWords,
  flagInWords,
  oneOfInWords,
  rangeInWords,
} from "../base/value-words.ts";
import type { ConfigReader, ConfigTable, ConfigValue } from "./config.ts";
import { checkTable, describe, isTable } from "./config-table.ts";
import { Secret } from "./secret.ts";

/*
 * Values from the environment and from flags are text, so each reader also accepts the text form of
 * its type. A missing value, or null, is `not_found`; a value of another form is
 * `invalid_argument`.
 */

/** Text. A number or a boolean is rejected: in a file, quote it. */
export const text: ConfigReader<string> = (value, path) => {
  const found = require(value, path, "text");
  if (typeof found === "string") return found;
  throw unexpected("text; put it in quotes", found, path);
};

/** A number, or its text in decimal notation: `1.5`, `-2`, `1e3`. */
export const number: ConfigReader<number> = (value, path) => {
  const found = require(value, path, "a number");
  if (typeof found === "number") return found;
  if (typeof found === "string" && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(found)) {
    const parsed = Number(found);
    if (Number.isFinite(parsed)) return parsed;
  }
  throw unexpected("a number", found, path);
};

/** A whole number that a JavaScript number holds exactly, or its text: digits only. */
export const integer: ConfigReader<number> = (value, path) => {
  const found = require(value, path, "a whole number");
  const parsed = typeof found === "string" && /^[+-]?\d+$/.test(found) ? Number(found) : found;
  if (Number.isSafeInteger(parsed)) return parsed as number;
  throw unexpected("a whole number", found, path);
};

const truths: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  [1, true],
  ["1", true],
  ["true", true],
  ["yes", true],
  ["on", true],
  [false, false],
  [0, false],
  ["0", false],
  ["false", false],
  ["no", false],
  ["off", false],
]);

/**
 * True or false; also the text or number `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off`, in
 * any case.
 */
export const boolean: ConfigReader<boolean> = (value, path) => {
  const found = require(value, path, flagInWords);
  const truth = truths.get(typeof found === "string" ? found.toLowerCase() : found);
  if (truth !== undefined) return truth;
  throw unexpected(flagInWords, found, path);
};

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * A duration in milliseconds: text of numbers with units `ms`, `s`, `m`, `h` and `d`, such as
 * `250ms`, `1.5s` or `1h30m`. A number without a unit is rejected, except 0.
 */
export const duration: ConfigReader<number> = (value, path) => {
  const what = durationTextInWords;
  const found = require(value, path, what);
  if (found === 0 || found === "0") return 0;
  if (typeof found === "string" && /^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(found)) {
    let total = 0;
    for (const [, amount, unit] of found.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
      total += Number(amount) * durationUnits[unit!]!;
    }
    if (total <= Number.MAX_SAFE_INTEGER) return total;
  }
  throw unexpected(what, found, path);
};

const byteUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** A number of bytes, or text with a unit: `512`, `4MiB` (2^20), `1.5MB` (10^6). */
export const bytes: ConfigReader<number> = (value, path) => {
  const what = "a number of bytes, such as 4096, 4MiB or 1.5GB";
  const found = require(value, path, what);
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]i?b|b|)$/i.exec(String(found));
  const count =
    typeof found === "string" && match !== null
      ? Number(match[1]) * byteUnits[match[2]!.toLowerCase()]!
      : found;
  if (Number.isSafeInteger(count) && (count as number) >= 0) return count as number;
  throw unexpected(what, found, path);
};

/** A list whose items are read by the given reader; text is split at commas. */
export function list<T>(of: ConfigReader<T>): ConfigReader<readonly T[]> {
  return (value, path) => {
    const found = require(value, path, "a list");
    if (typeof found === "string") {
      if (found.trim() === "") return [];
      return found.split(",").map((item, i) => of(item.trim(), `${path}[${i}]`));
    }
    if (Array.isArray(found)) {
      return found.map((item: ConfigValue, i) => of(item, `${path}[${i}]`));
    }
    throw unexpected("a list", found, path);
  };
}

/** One of these strings. */
export function oneOf<const T extends string>(...choices: readonly T[]): ConfigReader<T> {
  return (value, path) => {
    const what = oneOfInWords(choices);
    const found = require(value, path, what);
    const choice = choices.find((other) => other === found);
    if (choice !== undefined) return choice;
    throw unexpected(what, found, path);
  };
}

/** A value from the given reader, between `least` and `most`; for numbers, durations and bytes. */
export function between(
  of: ConfigReader<number>,
  least: number,
  most: number,
): ConfigReader<number> {
  return (value, path) => {
    const found = of(value, path);
    if (found >= least && found <= most) return found;
    throw unexpected(`a value ${rangeInWords(least, most)}`, value, path);
  };
}

/** Text that is never shown, not even in errors about it. */
export const secret: ConfigReader<Secret> = (value, path) => {
  const found = require(value, path, "a secret text");
  if (typeof found === "string") return new Secret(found);
  const kind = Array.isArray(found) ? "list" : isTable(found) ? "table" : typeof found;
  throw wrong(path, `expected a secret text, found a ${kind}`);
};

/** A table, or its text as JSON. */
export const table: ConfigReader<ConfigTable> = (value, path) => {
  const found = require(value, path, "a table");
  if (isTable(found)) return found;
  if (typeof found === "string") {
    const result = parseJson(found);
    if ("value" in result) return checkTable(result.value, `config ${path}`);
    if (result.problem.cause === undefined) throw wrong(path, result.problem.reason);
  }
  throw unexpected("a table, or a JSON object as text", found, path);
};

/** A table whose values are read by the given reader, by name. */
export function record<T>(of: ConfigReader<T>): ConfigReader<Readonly<Record<string, T>>> {
  return (value, path) =>
    Object.fromEntries(
      Object.entries(table(value, path)).map(([name, inner]) => [
        name,
        of(inner, `${path}.${name}`),
      ]),
    );
}

function require(value: ConfigValue | undefined, path: string, what: string): ConfigValue {
  if (value !== undefined && value !== null) return value;
  throw new MicroError("not_found", `config ${path}: no value; expected ${what}`);
}

function unexpected(what: string, found: ConfigValue | undefined, path: string): MicroError {
  return wrong(path, `expected ${what}, found ${describe(found)}`);
}

function wrong(path: string, reason: string): MicroError {
  return new MicroError("invalid_argument", `config ${path}: ${reason}`);
}
