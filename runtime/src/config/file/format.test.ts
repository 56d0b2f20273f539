import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson } from "../../base/json-syntax.ts";
import { type FileFormat, formatOf, parseFile } from "./format.ts";

const bomb = `a: &a [x, x, x, x, x, x, x, x, x, x]
${"bcdefgh"
  .split("")
  .map((name, i) => `${name}: &${name} [${Array(10).fill(`*${"abcdefg"[i]}`).join(", ")}]`)
  .join("\n")}`;

test.each<[FileFormat, string, string]>([
  ["json", '{\n  "a": 1,\n  b: 2\n}', ':3:3: "b" is unexpected here; correct the file'],
  ["json", '{"a": 1,}', ':1:9: "}" is unexpected'],
  ["json", '{"a": [1, 2', ":1:12: the file ends too early"],
  ["json", "", ":1:1: the file ends too early"],
  ["json", '{"a": "x\ny"}', ":1:7:"],
  ["json", '{"a": 01}', ":1:8:"],
  ["json", '{"a": 1} x', ":1:10:"],
  ["json", "[1]", "expected a table of values by name, found a list of 1"],
  ["json", '{"__proto__": {"a": 1}}', "at __proto__: the name __proto__ is refused; rename it"],
  ["yaml", "a: 1\nb: [1, 2\nc: 3\n", ":3:1: "],
  ["json", '{\n  "a": 1,\n  "a": 2\n}', ':3:3: "a" stands twice in this table; correct the file'],
  ["json", '{"x": [{"a": {}, "b": 1, "\\u0061": 1}]}', ':1:26: "a" stands twice'],
  ["json", '{"toString": 1, "": 1, "": 2}', ':1:24: "" stands twice'],
  ["yaml", "a: 1\na: 2\n", ':2:1: "a" stands twice'],
  ["yaml", "a: 1\n\tb: 2", ":2:1: "],
  ["yaml", "a: !ruby/object:Gem x", ":1:4: Unresolved tag"],
  ["yaml", "a: 1\n---\nb: 2", ":2:1: a file has one document"],
  ["yaml", "a: !!binary aGk=", "values of the type tag:yaml.org,2002:binary are not read"],
  ["yaml", "a: !!set {x}", "values of the type tag:yaml.org,2002:set are not read"],
  ["yaml", "a: !!omap [x: 1]", "values of the type tag:yaml.org,2002:omap are not read"],
  ["yaml", "? [a, b]\n: 1", ":1:3: a name must be text"],
  ["yaml", "a: *nowhere", ":1:4: "],
  ["yaml", "- a", "expected a table"],
  ["yaml", "__proto__: {a: 1}", "at __proto__: the name"],
  ["yaml", "a: {b: {constructor: {prototype: {x: 1}}}}", "at a.b.constructor"],
  ["yaml", bomb, "more than 100000 values with those that aliases repeat"],
  ["yaml", "a: &a {<<: *a}", ":1:12: this alias is inside the value that it repeats"],
  ["yaml", "a: &a [*a]", ":1:8: this alias is inside the value that it repeats"],
  [
    "yaml",
    `b: &b {${Array.from({ length: 500 }, (_, i) => `k${i}: 1`)}}\n${Array.from({ length: 25 }, (_, i) => `m${i}:\n  <<: *b\n`).join("")}`,
    ":43:3: merge keys copy more than 10000 entries",
  ],
  [
    "yaml",
    `a0: &a0 {x: 1}\n${Array.from({ length: 60 }, (_, i) => `a${i + 1}: &a${i + 1}\n  <<: [*a${i}, *a${i}]\n`).join("")}`,
    "merge keys copy more than 10000 entries",
  ],
  [
    "yaml",
    Array.from({ length: 1_100 }, (_, i) => `a${i}: &a${i} 1\nb${i}: *a${i}\n`).join(""),
    "more than 2000 anchors and aliases",
  ],
  ["yaml", `a: ${"[".repeat(50)}${"]".repeat(50)}`, "nested deeper than 32 levels"],
  ["yaml", `a: ${"[".repeat(20_000)}`, "app.conf"],
  ["yaml", `a: ${"[".repeat(1_000_000)}`, ":1:102: nested too deeply"],
  ["yaml", "a: ".repeat(300_000), "nested too deeply"],
  ["yaml", `${"- ".repeat(500_000)}x`, "nested too deeply"],
  [
    "yaml",
    Array.from({ length: 1400 }, (_, i) => `${" ".repeat(i)}a:\n`).join(""),
    ":100:101: nested",
  ],
  ["yaml", "]".repeat(1_000_000), "more than 100000 tokens"],
  [
    "yaml",
    Array.from({ length: 60_000 }, (_, i) => `k${i}: 1\n`).join(""),
    "more than 100000 tokens",
  ],
  ["yaml", `{${Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`)}}`, "more than 100000 tokens"],
  ["json", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "nested deeper"],
  ["toml", "a = 1\nb = \n", ":2:"],
  ["toml", "a = 1\na = 2\n", ":2:1: "],
  ["toml", "[__proto__]\na = 1", "the name __proto__ is refused"],
  ["toml", "a = inf", "at a: Infinity is not a number"],
  ["toml", `a = ${"[".repeat(20_000)}`, "app.conf"],
])("%s %# is refused with its position", async (format, content, message) => {
  await expect(parseFile("app.conf", content, format)).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringMatching(/^config file app\.conf/),
  });
  await expect(parseFile("app.conf", content, format)).rejects.toThrow(message);
  expect(({} as Record<string, unknown>).a).toBeUndefined();
});

test.each<[FileFormat, string, unknown]>([
  ["json", '{"a": {"b": [1, null]}}', { a: { b: [1, null] } }],
  [
    "yaml",
    "base: &base {a: 1}\nuse: {<<: *base, b: yes, c: 010, d: 2026-01-01}",
    { base: { a: 1 }, use: { a: 1, b: "yes", c: 10, d: "2026-01-01" } },
  ],
  ["yaml", "# nothing but a comment\n", {}],
  [
    "yaml",
    `${"#".repeat(1000)}\na:\n  - "[[["\n  - |\n    text: {\n      more\n  - {b: [1, 2], c: {}}\n`,
    { a: ["[[[", "text: {\n  more\n", { b: [1, 2], c: {} }] },
  ],
  [
    "yaml",
    Array.from({ length: 500 }, (_, i) => `k${i}:\n  - a: {b: [1]}\n    c: x\n`).join(""),
    Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`k${i}`, [{ a: { b: [1] }, c: "x" }]]),
    ),
  ],
  ["toml", 'a = 1\n[b]\nc = ["x"]\nd = 2026-01-01', { a: 1, b: { c: ["x"], d: "2026-01-01" } }],
  ["toml", "", {}],
])("%s %# is read", async (format, content, expected) => {
  expect(await parseFile("app.conf", content, format)).toEqual(expected);
});

test("the name determines the format", () => {
  expect(formatOf("/etc/a.YML")).toBe("yaml");
  expect(() => formatOf("/etc/config")).toThrow("give the format");
});

test("the position of a JSON error is where JSON.parse fails", () => {
  const damaged = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", "}", "]", '"', "x", ":", "\u0001"))
    .map(([json, at, text]) => {
      const cut = at % (json.length + 1);
      return json.slice(0, cut) + text + json.slice(cut + 1);
    });
  fc.assert(
    fc.property(damaged, (text) => {
      const result = parseJson(text);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        expect(result).toHaveProperty("problem.cause");
      }
      if ("value" in result) expect(result.value).toEqual(value);
      else expect(result.problem.offset).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 2000 },
  );
});

test("JSON is refused for the first duplicate name in a table, and for no other", () => {
  const name = fc.constantFrom("a", "b", "__proto__", "", "\n");
  const { tree } = fc.letrec<{ tree: unknown; table: [string, unknown][] }>((tie) => ({
    tree: fc.oneof({ depthSize: "small" }, fc.integer(), tie("table"), fc.array(fc.boolean())),
    table: fc.array(fc.tuple(name, tie("tree")), { maxLength: 4 }),
  }));
  const isTable = (value: unknown): value is [string, unknown][] =>
    Array.isArray(value) && value.every((each) => Array.isArray(each));
  const write = (value: unknown): string =>
    isTable(value)
      ? `{${value.map(([key, inner]) => `${JSON.stringify(key)}: ${write(inner)}`).join(",")}}`
      : JSON.stringify(value);
  const repeats = (value: unknown): boolean =>
    isTable(value) &&
    (new Set(value.map(([key]) => key)).size < value.length ||
      value.some(([, inner]) => repeats(inner)));
  fc.assert(
    fc.property(tree, (value) => {
      expect("problem" in parseJson(write(value))).toBe(repeats(value));
    }),
  );
});
