import { MicroError } from "../base/error.ts";

const quote = 0x22;
const backslash = 0x5c;

/**
 * Counts the values of a JSON text before it is parsed, and rejects too many: each may become an
 * object of a hundred bytes, whether or not it is read. A string counts as one value; its contents
 * do not count.
 * @returns the number of values
 * @throws MicroError `resource_exhausted` when there are more than `most`.
 */
export function checkJsonElements(json: Uint8Array, most: number, what: string): number {
  let elements = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === quote) at = endOfString(json, at);
    // Each value is opened by a bracket or a quote, or separated from the previous one by a comma.
    else if (byte !== 0x2c && byte !== 0x5b && byte !== 0x7b) continue;
    if (++elements > most) {
      throw new MicroError(
        "resource_exhausted",
        `${what} has more than ${most} values; send less at once`,
        { outcome: "not-executed" },
      );
    }
  }
  return elements;
}

/**
 * The end of the string that begins at `start`; the end of the JSON if the string is not
 * terminated.
 */
function endOfString(json: Uint8Array, start: number): number {
  const end = json.indexOf(quote, start + 1);
  if (end < 0) return json.length;
  if (json[end - 1] !== backslash) return end;
  let at = start + 1;
  while (at < json.length && json[at] !== quote) at += json[at] === backslash ? 2 : 1;
  return at;
}
