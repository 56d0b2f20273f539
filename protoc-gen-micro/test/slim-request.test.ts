import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { protocGenMicro, respond } from "../src/plugin.ts";
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
  // A part.
  message Part {}
  // A kind.
  enum Kind {
    // None.
    NONE = 0;
  }
}
`);

/** The paths of package and syntax, of what is in services, and of messages. */
const shown = /^(2|12|6,.*|4,\d+(,3,\d+)*)$/;

function onlyShown(file: FileDescriptorProto): FileDescriptorProto {
  const { sourceCodeInfo } = file;
  if (sourceCodeInfo === undefined) return file;
  const location = sourceCodeInfo.location.filter(
    (it) =>
      shown.test(it.path.join()) &&
      (it.leadingComments !== "" ||
        it.trailingComments !== "" ||
        it.leadingDetachedComments.length > 0),
  );
  return { ...file, sourceCodeInfo: { ...sourceCodeInfo, location } };
}

test("a slim request keeps the positions of comments that the output shows, and everything else", () => {
  const whole = create(CodeGeneratorRequestSchema, {
    ...commented,
    sourceFileDescriptors: commented.protoFile.slice(-1),
  });
  const bytes = toBinary(CodeGeneratorRequestSchema, whole);
  const slim = fromBinary(CodeGeneratorRequestSchema, slimRequest(bytes));
  const expected = create(CodeGeneratorRequestSchema, {
    ...whole,
    protoFile: whole.protoFile.map(onlyShown),
    sourceFileDescriptors: whole.sourceFileDescriptors.map(onlyShown),
  });
  expect(toBinary(CodeGeneratorRequestSchema, slim)).toEqual(
    toBinary(CodeGeneratorRequestSchema, expected),
  );
  const paths = slim.protoFile.at(-1)!.sourceCodeInfo!.location.map(({ path }) => path.join());
  expect(paths.sort()).toEqual(["4,0", "4,0,3,0", "6,0", "6,0,2,0"]);
});

test("gives the same output as the whole request", () => {
  const response = respond(toBinary(CodeGeneratorRequestSchema, commented));
  expect(response).toEqual(toBinary(CodeGeneratorResponseSchema, protocGenMicro.run(commented)));
  const [file] = fromBinary(CodeGeneratorResponseSchema, response).file;
  expect(file!.content).toContain("Says hello.");
});

test("an error has its position", () => {
  const wrong = requestFor("message Event { option (micro.v1.topic) = { key: 'none' }; }");
  const { error } = fromBinary(
    CodeGeneratorResponseSchema,
    respond(toBinary(CodeGeneratorRequestSchema, wrong)),
  );
  expect(error).toMatch(/^slim\.proto:6:45: .*is not a field of the message/m);
});

test("a truncated request is refused", () => {
  const bytes = toBinary(CodeGeneratorRequestSchema, commented);
  expect(() => respond(bytes.subarray(0, bytes.length - 3))).toThrow();
});
