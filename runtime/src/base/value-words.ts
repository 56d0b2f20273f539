/*
 * Descriptions of allowed and actual values, shared by options, environment variables, errors and
 * config readers.
 */

/** The words for a count. */
export const countInWords = "a whole number from 1";

/** The words for true or false. */
export const flagInWords = "true or false";

/** The words for one of a few strings. */
export function oneOfInWords(allowed: readonly string[]): string {
  return `one of ${allowed.join(", ")}`;
}

/** The words for a number within limits. */
export function rangeInWords(least: number, most: number): string {
  return most === Number.POSITIVE_INFINITY ? `from ${least}` : `from ${least} to ${most}`;
}

/** The words for a duration as a number. */
export function durationInWords(
  leastMs: number,
  mostMs: number = Number.POSITIVE_INFINITY,
): string {
  const isLimited = leastMs > 0 || mostMs < Number.POSITIVE_INFINITY;
  const range = isLimited ? ` ${rangeInWords(leastMs, mostMs)}` : "";
  return `a duration in milliseconds${range}, for example 2000`;
}

/** The words for a duration as text. */
export const durationTextInWords = "a duration with its unit, such as 500ms, 1.5s or 2h";

/** The words for a port. */
export const portInWords = "a port from 1 to 65535";

/** A value as shown in a message: text in quotes, objects by their type. */
export function valueInWords(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 200));
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
