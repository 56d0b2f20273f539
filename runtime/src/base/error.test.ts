import { describe, expect, test } from "vitest";
import {
  asMicroError,
  type Code,
  codeFromNumber,
  codeToNumber,
  isCode,
  MicroError,
} from "./error.ts";

describe("MicroError", () => {
  test("carries code, outcome, details and cause", () => {
    const cause = new Error("socket hang up");
    const error = new MicroError("unavailable", "cannot reach greeter", {
      outcome: "not-executed",
      details: [{ typeName: "google.rpc.RetryInfo", value: new Uint8Array([1]) }],
      retryAfterMs: 20,
      cause,
    });
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("MicroError");
    expect(error).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
      retryAfterMs: 20,
      cause,
    });
    expect(error.details[0]?.typeName).toBe("google.rpc.RetryInfo");
  });

  test("recognizes the MicroError of another copy of the package, and nothing else", () => {
    const foreign = Object.create(MicroError.prototype);
    expect(foreign instanceof MicroError).toBe(true);
    for (const other of [new Error("x"), { code: "unavailable" }, null, undefined, "unavailable"]) {
      expect((other as unknown) instanceof MicroError).toBe(false);
    }
  });

  test("reports an unknown code, with the known ones", () => {
    expect(() => new MicroError("not-found" as Code, "no such user")).toThrow(
      /"not-found" is not a code of MicroError; use one of .*not_found/,
    );
  });

  test.each([
    [new MicroError("aborted", "a"), "aborted"],
    [new DOMException("stop", "AbortError"), "canceled"],
    [new DOMException("late", "TimeoutError"), "deadline_exceeded"],
    [new TypeError("x is not a function"), "internal"],
    ["a string", "internal"],
    [null, "internal"],
  ])("from(%s) has the code %s", (reason, code) => {
    expect(asMicroError(reason, "internal").code).toBe(code);
  });
});

test("codes have gRPC's numbers, both ways", () => {
  const numbers: [Code, number][] = [
    ["canceled", 1],
    ["deadline_exceeded", 4],
    ["resource_exhausted", 8],
    ["unimplemented", 12],
    ["unauthenticated", 16],
  ];
  for (const [code, number] of numbers) {
    expect(codeToNumber(code)).toBe(number);
    expect(codeFromNumber(number)).toBe(code);
  }
  expect(codeFromNumber(0)).toBe("unknown");
  expect(codeFromNumber(99)).toBe("unknown");
  expect(isCode("unavailable")).toBe(true);
  expect(isCode("UNAVAILABLE")).toBe(false);
});
