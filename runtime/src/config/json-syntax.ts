const space = /[\t\n\r ]*/y;
const string = /"(?:[^"\\]|\\[\s\S])*"/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * Where a text stops being JSON; its length when it only ends too early. `JSON.parse` tells that in some of its
 * messages, in words that change between versions of Node.
 */
export function jsonErrorOffset(text: string): number {
  const open: ("{" | "[")[] = [];
  let at = 0;
  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const matchString = (): boolean => {
    const start = at;
    if (!match(string)) return false;
    try {
      JSON.parse(text.slice(start, at));
      return true;
    } catch {
      at = start;
      return false;
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
      if (!matchString() || next() !== ":") return at;
      at++;
      expected = "value";
    } else if (expected === "value") {
      if (character === "{" || character === "[") {
        open.push(character);
        at++;
        const first = next();
        if (first === (character === "{" ? "}" : "]")) expected = "more";
        else expected = character === "{" ? "key" : "value";
      } else if (matchString() || match(scalar)) {
        expected = "more";
      } else {
        return at;
      }
    } else {
      const inside = open.at(-1);
      if (inside === undefined) return at;
      at++;
      if (character === ",") expected = inside === "{" ? "key" : "value";
      else if (character === (inside === "{" ? "}" : "]")) open.pop();
      else return at - 1;
    }
  }
}
