import { describe, expect, test } from "vitest";
import { flagsSource } from "../flags/source.ts";
import { envSource } from "./source.ts";

describe("env", () => {
  const load = (env: Record<string, string>, options = {}) =>
    envSource({ prefix: "SHOP_", env, ...options }).load();

  test("a double underscore separates tables, a single one words", async () => {
    const env = { SHOP_DATABASE__POOL_SIZE: "5", SHOP_PORT: "80", SHOPPING: "x", PATH: "y" };
    expect(await load(env)).toEqual({ database: { poolSize: "5" }, port: "80" });
    expect(await load(env, { words: "snake" })).toEqual({
      database: { pool_size: "5" },
      port: "80",
    });
  });

  test("with a single underscore as separator, every part is a table or a value", async () => {
    expect(await load({ SHOP_DATABASE_POOL_SIZE: "5" }, { separator: "_" })).toEqual({
      database: { pool: { size: "5" } },
    });
  });

  test.each([
    [{ SHOP_A: "1", SHOP_a: "2" }, /SHOP_a and SHOP_A both set a/],
    [{ SHOP_A: "1", SHOP_A__B: "2" }, /SHOP_A__B and SHOP_A both set a/],
    [{ SHOP_A__B__C: "1", SHOP_A__B: "2" }, /both set a\.b/],
    [{ SHOP_: "1" }, /no path behind SHOP_/],
    [{ SHOP_A____B: "1" }, /no path/],
    [{ "SHOP_A.B": "1" }, /no path/],
    [{ SHOP_CONSTRUCTOR__NAME: "1" }, /constructor is refused/],
    [{ SHOP___PROTO__: "1" }, /no path/],
  ])("%o is refused", async (env, message) => {
    await expect(load(env)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(message),
    });
  });

  test("needs a prefix", () => {
    expect(() => envSource({ prefix: "" })).toThrow('prefix must be text such as "SHOP_"');
  });
});

describe("flags", () => {
  const load = (...argv: string[]) => flagsSource({ argv }).load();

  test("values, switches, lists and nothing after --", async () => {
    expect(
      await load(
        "--a.pool-size=5",
        "--url=http://x?a=b\n",
        "--empty=",
        "--on",
        "--no-off",
        "--n=1",
        "--n=2",
        "--",
        "--x",
      ),
    ).toEqual({
      a: { poolSize: "5" },
      url: "http://x?a=b\n",
      empty: "",
      on: true,
      off: false,
      n: ["1", "2"],
    });
  });

  test.each([
    ["value", /cannot read the argument "value"/],
    ["-x", /cannot read/],
    ["--", undefined],
    ["--a..b=1", /cannot read/],
    ["--=1", /cannot read/],
    ["--__proto__.a=1", /cannot read/],
    ["--constructor.a=1", /refused/],
    ["--no-a=1", /--no-a takes no value; write --a=1/],
    ["--a-=1", /cannot read/],
  ])("%s", async (argument, message) => {
    if (message === undefined) expect(await load(argument)).toEqual({});
    else await expect(load(argument)).rejects.toThrow(message);
  });

  test("a flag that is both a value and a table is refused", async () => {
    await expect(load("--a=1", "--a.b=2")).rejects.toThrow("--a.b and --a both set a");
  });
});
