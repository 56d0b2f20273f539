import {
  countInWords,
  durationTextInWords,
  flagInWords,
  oneOfInWords,
  portInWords,
} from "./value-words.ts";

/** Reads a value from text, such as an environment variable or a URL parameter. */
export interface TextValue<T> {
  /** The allowed values, in words. */
  readonly values: string;
  /** Parses a value; undefined if it is not allowed. */
  read(text: string): T | undefined;
}

/** One of a fixed set of words. */
export function oneWord<const T extends string>(...allowed: readonly T[]): TextValue<T> {
  return {
    values: oneOfInWords(allowed.map((value) => `\`${value}\``)),
    read: (text) => allowed.find((value) => value === text),
  };
}

/** Any non-empty text. */
export const anyText: TextValue<string> = {
  values: "text",
  read: (text) => (text === "" ? undefined : text),
};

/** `true` or `false`. */
export const flagText: TextValue<boolean> = {
  values: flagInWords,
  read: (text) => ({ true: true, false: false })[text],
};

/** A whole number from 1 to `most`. */
export function countText(most: number = 2 ** 31): TextValue<number> {
  return {
    values: most === 2 ** 31 ? countInWords : `${countInWords} to ${most}`,
    read: (text) => readInteger(text, 1, most),
  };
}

/** A port. */
export const portText: TextValue<number> = {
  values: portInWords,
  read: (text) => readInteger(text, 1, 65_535),
};

/** A duration with its unit, such as `500ms`; parsed as milliseconds. */
export const durationText: TextValue<number> = {
  values: durationTextInWords,
  read(text) {
    const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text);
    const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ""];
    return unit === undefined ? undefined : Number(match?.[1]) * unit;
  },
};

function readInteger(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}
