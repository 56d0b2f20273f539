const space = /[\t\n\r ]*/y;
const string = /"(?:[^"\\]|\\[\s\S])*"/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Why a text is not accepted as JSON, and the position. */
export interface JsonProblem {
  readonly offset: number;
  readonly reason: string;
  readonly cause?: unknown;
}

/** The parsed value of a text, or the reason why it is not accepted. */
export type JsonResult = { readonly value: unknown } | { readonly problem: JsonProblem };

/**
 * Parses JSON, and rejects a name that occurs twice in a table: `JSON.parse` would keep the last
 * value.
 */
export function parseJson(text: string): JsonResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const { offset } = scan(text);
    const reason =
      offset >= text.length
        ? "the file ends too early"
        : `${JSON.stringify(text[offset])} is unexpected here`;
    return { problem: { offset, reason, cause } };
  }
  const { repeated } = scan(text);
  return repeated === undefined ? { value } : { problem: repeated };
}

interface Scan {
  /**
   * The position at which the text stops being JSON; its length if it is complete or ends too
   * early.
   */
  readonly offset: number;
  /** The first name that occurs twice in its table. */
  readonly repeated: JsonProblem | undefined;
}

/**
 * Scans a text as JSON. `JSON.parse` reports the position of an error only in some of its messages,
 * in words that change between versions of Node, and does not report names that occur twice.
 */
function scan(text: string): Scan {
  const open: ("{" | "[")[] = [];
  /** The names of the open tables. */
  const names: Set<string>[] = [];
  let repeated: JsonProblem | undefined;
  let at = 0;
  const stopped = (): Scan => ({ offset: at, repeated });
  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const matchString = (): string | undefined => {
    const start = at;
    if (!match(string)) return undefined;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      at = start;
      return undefined;
    }
  };
  const next = (): string | undefined => {
    match(space);
    return text[at];
  };
  let expected: "value" | "key" | "more" = "value";
  for (;;) {
    const character = next();
    if (expected === "key") {
      const start = at;
      const name = matchString();
      if (name === undefined || next() !== ":") return stopped();
      const table = names.at(-1)!;
      if (table.has(name)) {
        repeated ??= {
          offset: start,
          reason: `${JSON.stringify(name)} stands twice in this table`,
        };
      }
      table.add(name);
      at++;
      expected = "value";
    } else if (expected === "value") {
      if (character === "{" || character === "[") {
        open.push(character);
        if (character === "{") names.push(new Set());
        at++;
        const first = next();
        if (first === (character === "{" ? "}" : "]")) expected = "more";
        else expected = character === "{" ? "key" : "value";
      } else if (matchString() !== undefined || match(scalar)) {
        expected = "more";
      } else {
        return stopped();
      }
    } else {
      const inside = open.at(-1);
      if (inside === undefined) return stopped();
      if (character === ",") expected = inside === "{" ? "key" : "value";
      else if (character === (inside === "{" ? "}" : "]")) {
        open.pop();
        if (inside === "{") names.pop();
      } else return stopped();
      at++;
    }
  }
}
