import { describe, expect, test } from "vitest";
import { backendAddresses, readAddresses, requireUserWithPassword } from "./backend-addresses.ts";
import { checkOptions } from "./option-check.ts";

const refusal = "is not an address of Redis; use host:6379";
const parse = (given: string | readonly string[]) => readAddresses(given, 6379, refusal);

describe("the addresses of a backend's servers", () => {
  test.each<[string | readonly string[], readonly object[]]>([
    ["host", [{ host: "host", port: 6379, text: "host:6379" }]],
    ["[::1]", [{ host: "::1", port: 6379, text: "[::1]:6379" }]],
    [
      "a:1, [FE80::1]:65535",
      [
        { host: "a", port: 1, text: "a:1" },
        { host: "FE80::1", port: 65_535, text: "[FE80::1]:65535" },
      ],
    ],
    [
      [" a ", "10.0.0.5:2"],
      [
        { host: "a", port: 6379, text: "a:6379" },
        { host: "10.0.0.5", port: 2, text: "10.0.0.5:2" },
      ],
    ],
  ])("%j are parsed", (given, addresses) => {
    expect(parse(given)).toEqual(addresses);
  });

  test.each([
    "",
    "a,",
    "a b",
    "redis://a",
    "a/2",
    "a?b",
    "a#b",
    "a:",
    "a:x",
    "a:0",
    "a:65536",
    "a:000001",
    ":1",
    "::1",
    "[::1",
    "[g]",
    "[]:1",
  ])("%j is refused", (given) => {
    expect(() => parse(given)).toThrow(refusal);
  });

  test.each(["ada:s3cret@host", "ada:s3cret\n@host", "s3@cret@host"])(
    "%j is not shown",
    (given) => {
      expect(() => parse(given)).toThrow(`"…@host" ${refusal}`);
    },
  );

  test("are an option that messages do not show", () => {
    const check = (servers: unknown) =>
      checkOptions("redisStore", { servers }, { servers: backendAddresses("10.0.0.5:6379") });
    for (const valid of ["a", "a,b", ["a", "b"]]) check(valid);
    for (const invalid of ["", [], ["a", 1], {}]) {
      expect(() => check(invalid)).toThrow(
        `redisStore: servers must be addresses, for example "10.0.0.5:6379", or a list of them; got a ${typeof invalid}`,
      );
    }
  });
});

test("a user without a password, and the reverse, is refused", () => {
  for (const valid of [{}, { user: "ada", password: "s3cret" }]) {
    requireUserWithPassword("etcd", valid);
  }
  for (const half of [{ user: "ada" }, { password: "s3cret" }]) {
    expect(() => requireUserWithPassword("etcd", half)).toThrow(
      "etcd takes user and password together; one of them is missing",
    );
  }
});
