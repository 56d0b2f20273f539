import { MicroError } from "./error.ts";
import { resembling } from "./suggest.ts";
import {
  countInWords,
  durationInWords,
  flagInWords,
  oneOfInWords,
  portInWords,
  rangeInWords,
  valueInWords,
} from "./value-words.ts";

/** The allowed values of an option: in words, and as a check. */
export interface OptionKind {
  /** Completes "must be", with an example. */
  readonly words: string;
  accepts(value: unknown): boolean;
  /** The kinds of the options in an object. */
  readonly inside?: OptionKinds;
  /** Whether messages omit the given value, because it may be a secret. */
  readonly secret?: boolean;
  /** Whether the option must be given. */
  readonly required?: boolean;
}

/** The options of a function, by name. */
export type OptionKinds = Readonly<Record<string, OptionKind>>;

/**
 * The kinds of all options of a type. A missing option, or one that the type does not have, fails
 * to compile.
 */
export type OptionKindsOf<T> = { readonly [Name in keyof Required<T>]: OptionKind };

/** The longest duration that a Node timer supports, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

/** A duration in milliseconds of at least `least`. */
export function durationMs(least: number, most: number = longestTimerMs): OptionKind {
  return {
    words: durationInWords(least, most < longestTimerMs ? most : undefined),
    accepts: (value) => typeof value === "number" && value >= least && value <= most,
  };
}

/**
 * A deadline on the monotonic clock. A wall-clock time (`Date.now() + 100`) is also a number, and
 * would be decades away.
 */
export const deadlineKind: OptionKind = {
  words:
    "a time of the monotonic clock, for example deadlineAfter(2000), and not one of Date.now(); timeoutMs takes a duration",
  accepts: (value) =>
    typeof value === "number" && (value < firstWallClockTime || value === Number.POSITIVE_INFINITY),
};

/**
 * September 2001 as a wall-clock time, and a process that has run for 31 years as a monotonic one.
 */
const firstWallClockTime = 1e12;

/** A count, up to `most`. */
export function countUpTo(most: number): OptionKind {
  return {
    words: `${countInWords} to ${most}, for example 100`,
    accepts: (value) => count.accepts(value) && (value as number) <= most,
  };
}

/** A count. */
export const count: OptionKind = {
  words: `${countInWords}, for example 100`,
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
};

/** A number with or without a fraction, from `least` to `most`. */
export function numberBetween(least: number, most: number): OptionKind {
  return {
    words: `a number ${rangeInWords(least, most)}`,
    accepts: (value) => typeof value === "number" && value >= least && value <= most,
  };
}

/** A count that may be absent. */
export const countOrNone: OptionKind = {
  words: "a whole number from 0, for example 100",
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
};

/** A number of bytes. */
export const byteCount: OptionKind = {
  words: "a number of bytes from 1, for example 4194304",
  accepts: count.accepts,
};

/** A number of bytes, up to `most`. */
export function byteCountUpTo(most: number): OptionKind {
  return {
    words: `a number of bytes from 1 to ${most}, for example 4194304`,
    accepts: (value) => byteCount.accepts(value) && (value as number) <= most,
  };
}

export const flag: OptionKind = {
  words: flagInWords,
  accepts: (value) => typeof value === "boolean",
};

export const text: OptionKind = {
  words: "a string that is not empty",
  accepts: (value) => typeof value === "string" && value !== "",
};

/** Text that messages do not show. */
export const secret: OptionKind = { ...text, secret: true };

export const port: OptionKind = {
  words: portInWords,
  accepts: (value) => count.accepts(value) && (value as number) <= 65_535,
};

export const texts: OptionKind = {
  words: 'a list of strings, for example ["x-tenant"]',
  accepts: (value) => Array.isArray(value) && value.every((it) => typeof it === "string"),
};

export const labels: OptionKind = {
  words: 'an object of strings, for example { zone: "a" }',
  accepts: (value) => isObject(value) && Object.values(value).every((it) => typeof it === "string"),
};

export const list: OptionKind = { words: "a list", accepts: Array.isArray };

/** A list whose items are all of one kind; nested options of the items are checked as well. */
export function listOf(what: string, example: string, kind: OptionKind): OptionKind {
  return {
    words: `a list of ${what}, for example ${example}`,
    accepts: (value) => Array.isArray(value) && value.every((item) => kind.accepts(item)),
    ...(kind.inside === undefined ? {} : { inside: kind.inside }),
  };
}

export const object: OptionKind = { words: "an object", accepts: isObject };

export const callback: OptionKind = {
  words: "a function",
  accepts: (value) => typeof value === "function",
};

export const signal: OptionKind = {
  words: "an AbortSignal",
  accepts: (value) => isObject(value) && "aborted" in value && "addEventListener" in value,
};

/** An option whose only value turns a feature off. */
export const onlyFalse: OptionKind = {
  words: "false or absent",
  accepts: (value) => value === false,
};

export const anything: OptionKind = { words: "anything", accepts: () => true };

/** PEM, in the forms that Node accepts. */
export const pem: OptionKind = {
  secret: true,
  words: "PEM as a string or a Buffer, or a list of them",
  accepts: (value) =>
    typeof value === "string" ||
    value instanceof Uint8Array ||
    (Array.isArray(value) && value.length > 0),
};

/** An object with options of its own, all of which are checked. */
export function optionsOf<T>(inside: OptionKindsOf<T>): OptionKind {
  return { ...object, inside: inside as OptionKinds };
}

/** An option that must be given. */
export function required(kind: OptionKind): OptionKind {
  return { ...kind, required: true };
}

/** Either of two kinds; nested options are checked as the first kind's. */
export function either(one: OptionKind, other: OptionKind): OptionKind {
  return {
    ...one,
    words: `${one.words}, or ${other.words}`,
    accepts: (value) => one.accepts(value) || other.accepts(value),
  };
}

/** One of a few strings. */
export function oneOf(...allowed: readonly string[]): OptionKind {
  return {
    words: oneOfInWords(allowed),
    accepts: (value) => allowed.includes(value as string),
  };
}

/** The values of a kind, or `false`. */
export function orFalse(kind: OptionKind): OptionKind {
  return {
    ...kind,
    words: `${kind.words}, or false`,
    accepts: (value) => value === false || kind.accepts(value),
  };
}

/** An object with these methods, such as a broker. */
export function part(what: string, example: string, ...methods: readonly string[]): OptionKind {
  return {
    words: `${what}, for example ${example}`,
    accepts: (value) =>
      isObject(value) &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === "function"),
  };
}

/** An object of one class. */
export function instanceOf(
  what: string,
  type: abstract new (...args: never) => object,
): OptionKind {
  return { words: `${what}`, accepts: (value) => value instanceof type };
}

export const logger: OptionKind = part(
  "a Logger",
  "createLogger()",
  "debug",
  "info",
  "warn",
  "error",
);

/** The function whose options are checked, or the operation attempted with them, for messages. */
export type Owner = string | (() => string);

/**
 * Checks the options of a function, including those of nested objects. An option that is
 * `undefined` counts as absent. Names that do not resemble an option are ignored, like unrelated
 * environment variables.
 *
 * @throws MicroError `invalid_argument` that names the option, its allowed values and the given
 * value.
 */
export function checkOptions<T extends object>(
  owner: Owner,
  options: T,
  kinds: OptionKindsOf<NoInfer<T>>,
): void {
  if (!isObject(options)) {
    throw invalid(`${nameOf(owner)} takes an object of options; got ${valueInWords(options)}`);
  }
  checkInside(owner, "", options, kinds as OptionKinds);
}

/** Checks one given option. @throws MicroError `invalid_argument` as {@link checkOptions}. */
export function checkOption(owner: Owner, name: string, kind: OptionKind, value: unknown): void {
  if (value === undefined) return;
  if (!kind.accepts(value)) throw notAllowed(owner, name, kind, value);
  if (kind.inside === undefined) return;
  if (isObject(value)) checkInside(owner, `${name}.`, value, kind.inside);
  if (!Array.isArray(value)) return;
  for (const [index, item] of value.entries()) {
    checkInside(owner, `${name}[${index}].`, item, kind.inside);
  }
}

/** @param path the prefix of the names, such as `tls.server.` */
function checkInside(owner: Owner, path: string, options: object, kinds: OptionKinds): void {
  for (const name in options) {
    if (!Object.hasOwn(kinds, name)) checkName(owner, name, Object.keys(kinds), path);
  }
  for (const name in kinds) {
    const kind = kinds[name]!;
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) checkOption(owner, path + name, kind, value);
    else if (kind.required === true) throw notAllowed(owner, path + name, kind, value);
  }
}

/**
 * @throws MicroError `invalid_argument` for a name that is not in the list but resembles one that
 * is.
 */
export function checkName(
  owner: Owner,
  name: string,
  names: readonly string[],
  path: string = "",
): void {
  const meant = resembling(name, names);
  if (meant !== undefined) {
    throw invalid(`${nameOf(owner)} has no option ${path}${name}; did you mean ${path}${meant}?`);
  }
}

/** The error of an option with a value that is not allowed. */
export function notAllowed(
  owner: Owner,
  name: string,
  kind: OptionKind,
  value: unknown,
): MicroError {
  return invalid(
    `${nameOf(owner)}: ${name} must be ${kind.words}; got ${kind.secret === true ? `a ${typeof value}` : valueInWords(value)}`,
  );
}

function nameOf(owner: Owner): string {
  return typeof owner === "string" ? owner : owner();
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
