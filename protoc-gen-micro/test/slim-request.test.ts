import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { answer, protocGenMicro } from "../src/plugin.ts";
import { slimRequest } from "../src/slim-request.ts";
import { compile, proto } from "./support/compile.ts";

function requestFor(body: string) {
  return compile({ "slim.proto": proto(body) }).request(["slim.proto"], "target=ts");
}

const commented = requestFor(`
// Greets.
service Greeter {
  // Says hello.
  rpc Hello(Name) returns (Name); // Behind it.
}
// Detached.

// A name.
message Name {
  string text = 1; // The text.
  message Part {}
}
`);

test("a request keeps the places that have comments, and nothing else is left out", () => {
  const bytes = toBinary(CodeGeneratorRequestSchema, commented);
  const slim = fromBinary(CodeGeneratorRequestSchema, slimRequest(bytes));
  const expected = create(CodeGeneratorRequestSchema, {
    ...commented,
    protoFile: commented.protoFile.map((file) => ({
      ...file,
      ...(file.sourceCodeInfo && {
        sourceCodeInfo: {
          ...file.sourceCodeInfo,
          location: file.sourceCodeInfo.location.filter(
            (it) =>
              it.leadingComments !== "" ||
              it.trailingComments !== "" ||
              it.leadingDetachedComments.length > 0,
          ),
        },
      }),
    })),
  });
  expect(toBinary(CodeGeneratorRequestSchema, slim)).toEqual(
    toBinary(CodeGeneratorRequestSchema, expected),
  );
  expect(slim.protoFile.at(-1)!.sourceCodeInfo!.location.length).toBeLessThan(
    commented.protoFile.at(-1)!.sourceCodeInfo!.location.length / 2,
  );
});

test("what is written is what the whole request gives", () => {
  const response = answer(toBinary(CodeGeneratorRequestSchema, commented));
  expect(response).toEqual(toBinary(CodeGeneratorResponseSchema, protocGenMicro.run(commented)));
  const [file] = fromBinary(CodeGeneratorResponseSchema, response).file;
  expect(file!.content).toContain("Says hello.");
});

test("an error says where it is", () => {
  const wrong = requestFor("message Event { option (micro.v1.topic) = { key: 'none' }; }");
  const { error } = fromBinary(
    CodeGeneratorResponseSchema,
    answer(toBinary(CodeGeneratorRequestSchema, wrong)),
  );
  expect(error).toMatch(/^slim\.proto:6:45: .*names no field of the message/m);
});

test("a truncated request is refused", () => {
  const bytes = toBinary(CodeGeneratorRequestSchema, commented);
  expect(() => answer(bytes.subarray(0, bytes.length - 3))).toThrow();
});
