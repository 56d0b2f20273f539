import type { DescFile } from "@bufbuild/protobuf";
import { createEcmaScriptPlugin } from "@bufbuild/protoplugin";
import { expect, test } from "vitest";
import { pbNames } from "../src/model/pb-names.ts";
import { compile, generate, proto, protocGenEs } from "./support/compile.ts";

const compiled = compile({
  "a/clash-file.proto": proto(
    `
message Object {}
message case {}
message Partial { message Uint8Array {} enum string { STRING_ZERO = 0; } }
message Foo { message Bar { message Baz {} } enum Kind { KIND_ZERO = 0; } }
message Foo_Bar {}
message Foo_Bar_Baz {}
message FooSchema {}
message Service {}
message file_a_clash_file {}
message file_a_clash_fileSchema {}
enum Numbers { NUMBERS_ZERO = 0; }
enum NumbersSchema { SCHEMA_ZERO = 0; }
message delete {}
message deleteSchema {}
service Foo_Service { rpc A(Foo) returns (Foo); }
service class { rpc A(Foo) returns (Foo); }
extend google.protobuf.MessageOptions { string noted = 50900; string enum = 50901; }
`,
    'import "google/protobuf/descriptor.proto";',
  ),
});

test("names are those that protoplugin and protoc-gen-es give", () => {
  let seen = 0;
  const check = createEcmaScriptPlugin({
    name: "check",
    version: "v0",
    generateTs(schema) {
      const output = schema.generateFile("check.ts");
      for (const file of schema.files) {
        const { shapes, descriptors } = pbNames(file);
        expect(descriptors.get(file)).toBe(output.importSchema(file).name);
        for (const desc of schema.typesInFile(file)) {
          seen++;
          expect(descriptors.get(desc)).toBe(output.importSchema(desc).name);
          if (desc.kind === "message" || desc.kind === "enum") {
            expect(shapes.get(desc)).toBe(output.importShape(desc).name);
          }
        }
        expectExported(file);
      }
    },
  });
  check.run(compiled.request(["a/clash-file.proto"]));
  expect(seen).toBe(23);
});

/** Everything we say `_pb` exports is exported by what protoc-gen-es writes. */
function expectExported(file: DescFile): void {
  const [code] = generate(compiled.request([`${file.name}.proto`]), protocGenEs).values();
  const exported = [...code!.matchAll(/^export (?:type|const|enum) ([\w$]+)/gm)].map(
    ([, name]) => name!,
  );
  expect([...new Set(exported)].sort()).toEqual([...pbNames(file).all].sort());
}
