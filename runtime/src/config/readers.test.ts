import { inspect } from "node:util";
import { expect, test } from "vitest";
import type { MicroError } from "../base/error.ts";
import type { ConfigReader, ConfigValue } from "./config.ts";
import {
  between,
  boolean,
  bytes,
  duration,
  integer,
  list,
  number,
  oneOf,
  record,
  secret,
  table,
  text,
} from "./readers.ts";
import { schema } from "./schema.ts";

/** The values that a reader accepts, with their results, and those that it rejects. */
const readers: [string, ConfigReader<unknown>, [ConfigValue, unknown][], ConfigValue[]][] = [
  [
    "text",
    text,
    [
      ["0", "0"],
      ["", ""],
      ["true", "true"],
    ],
    [0, true, [], {}],
  ],
  [
    "number",
    number,
    [
      [1.5, 1.5],
      ["1e3", 1000],
      ["-.5", -0.5],
      ["0", 0],
    ],
    ["", " 1", "0x10", "NaN", "Infinity", "1e999", "1,5", true, []],
  ],
  [
    "integer",
    integer,
    [
      [3, 3],
      ["-42", -42],
      ["007", 7],
    ],
    [1.5, "1.5", "1e3", "9007199254740993", "", true, "١"],
  ],
  [
    "boolean",
    boolean,
    [
      [true, true],
      ["0", false],
      ["1", true],
      [0, false],
      ["Yes", true],
      ["OFF", false],
      ["no", false],
      ["on", true],
      ["False", false],
    ],
    ["", "2", 2, "t", "enabled", []],
  ],
  [
    "duration",
    duration,
    [
      ["250ms", 250],
      ["1.5s", 1500],
      ["2h", 7_200_000],
      ["1h30m", 5_400_000],
      ["1d", 86_400_000],
      [0, 0],
      ["0", 0],
    ],
    [1500, "1500", "-1s", "1 s", "s", "", "1e3s", "999999999999999999d"],
  ],
  [
    "bytes",
    bytes,
    [
      [4096, 4096],
      ["512", 512],
      ["4MiB", 4_194_304],
      ["1.5KiB", 1536],
      ["1.5 GB", 1_500_000_000],
      ["10kb", 10_000],
      ["7B", 7],
    ],
    [-1, 1.5, "1.0001KiB", "4 apples", "-1", "", "9999999TiB", true],
  ],
  [
    "list",
    list(integer),
    [
      [
        [1, "2"],
        [1, 2],
      ],
      ["1, 2,3", [1, 2, 3]],
      ["", []],
      ["5", [5]],
    ],
    [5, {}, "1,,2", ["x"]],
  ],
  ["oneOf", oneOf("red", "green"), [["red", "red"]], ["Red", "blue", 1]],
  ["between", between(integer, 1, 65_535), [["8080", 8080]], [0, 65_536, "x"]],
  [
    "table",
    table,
    [
      [{ a: 1 }, { a: 1 }],
      ['{"a":{"b":[1]}}', { a: { b: [1] } }],
    ],
    ["[1]", "{", "x", 5, '{"__proto__":{"a":1}}', '{"a":1,"a":2}'],
  ],
  [
    "record",
    record(duration),
    [
      [
        { a: "1s", b: "2s" },
        { a: 1000, b: 2000 },
      ],
    ],
    [{ a: "1" }, []],
  ],
];

test.each(readers)("%s accepts its forms and refuses others", (_name, reader, good, bad) => {
  for (const [value, expected] of good) expect(reader(value, "a.b")).toEqual(expected);
  for (const value of bad) {
    expect(() => reader(value, "a.b"), inspect(value)).toThrow(/a\.b/);
    expect(thrown(() => reader(value, "a.b")).code).toBe("invalid_argument");
  }
  for (const nothing of [undefined, null]) {
    expect(thrown(() => reader(nothing, "a.b")).code).toBe("not_found");
  }
});

test("an error says what was expected and what was found", () => {
  expect(() => integer("many", "pool.size")).toThrow(
    'config pool.size: expected a whole number, found text "many"',
  );
  expect(() => list(integer)(["1", "x"], "ports")).toThrow("config ports[1]: expected");
});

test("only reveal shows a secret", () => {
  const found = secret("canary", "password");
  const shown = [
    String(found),
    `${found}`,
    JSON.stringify({ found }),
    inspect({ found }, { depth: 9, showHidden: true }),
    `${found as unknown as number}`,
    Object.values(found).join(),
  ];
  for (const text of shown) expect(text).not.toContain("canary");
  expect(found.reveal()).toBe("canary");
  expect(() => secret(4711, "password")).toThrow(/^(?!.*4711)/);
});

test("a Standard Schema validates a value, and reports what is wrong", () => {
  const port = (validate: (value: unknown) => never) =>
    schema<number>({ "~standard": { version: 1, vendor: "test", validate } });
  const good = port(((value: unknown) => ({ value: Number(value ?? 80) })) as never);
  expect(good("8080", "port")).toBe(8080);
  expect(good(undefined, "port")).toBe(80);
  const issues = [{ message: "too small", path: ["a", { key: 0 }] }, { message: "odd" }];
  const bad = port((() => ({ issues })) as never);
  expect(() => bad(1, "port")).toThrow("config port.a.0: too small; port: odd");
  const late = port((async () => ({ value: 1 })) as never);
  expect(() => late(1, "port")).toThrow("asynchronously");
});

function thrown(action: () => unknown): MicroError {
  try {
    action();
  } catch (error) {
    return error as MicroError;
  }
  throw new Error("did not throw");
}
