import { expect, test } from "vitest";
import { codes as ofGenerator } from "../../protoc-gen-micro/src/rules/grpc-codes.ts";
import { codes as ofRuntime } from "../../runtime/src/base/codes.ts";

test("schemas may name the codes that the runtime has", () => {
  expect(ofGenerator).toEqual(ofRuntime);
});
