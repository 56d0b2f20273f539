import { afterAll, expect, vi } from "vitest";
import { compile } from "../../protoc-gen-micro/test/support/compile.ts";
import { Workspace } from "../../protoc-gen-micro/test/support/workspace.ts";
import { testInCi } from "../support/long.ts";

vi.setConfig({ testTimeout: 300_000 });

/**
 * As many as protobuf's unittest_enormous_descriptor.proto has; from 500 on, the type checker gives
 * up on functions that are not split.
 */
const count = 1_000;
const enumValues = 5_000;
const loong = `l${"o".repeat(120)}ng`;

// Each on a line of its own: buf takes minutes for a line of a thousand.
function fields(type: string, rest = "", name = "field_number"): string {
  const one = (number: number) => `${type} ${name}_${number} = ${number}${rest};`;
  return Array.from({ length: count }, (_, index) => one(index + 1)).join("\n");
}

const values = Array.from({ length: enumValues }, (_, index) => `V${index} = ${index * 3};`);
const sources = {
  "large/v1/proto2.proto": `syntax = "proto2"; package large.v1;
enum Closed { ${values.join("\n")} }
message Texts { ${fields("optional string", ` [default = "long default value is also ${loong}"]`, `long_field_name_is_${loong}`)} }
message Enums { repeated Closed all = 1 [packed = true]; map<int32, Closed> by_number = 2; optional Closed one = 3; }`,
  "large/v1/proto3.proto": `syntax = "proto3"; package large.v1;
message Numbers { ${fields("double")} }
message Longs { ${fields("int64")} }
message Maps { ${fields("map<string, int32>")} }
message Cases { oneof of { ${fields("string")} } }`,
};

const workspace = new Workspace();
afterAll(() => workspace.remove());

testInCi(
  "messages of a thousand fields and enums of five thousand values type-check, and mean what protobuf-es' do",
  async () => {
    workspace.generate(compile(sources), Object.keys(sources), "target=ts,import_extension=ts");
    workspace.write([
      [
        "main.mts",
        `import { faultsOf } from "../../test/codec/judge-names.ts";
const faults: string[] = [];
for (const name of ["proto2", "proto3"]) {
  faults.push(...faultsOf(await import("./large/v1/" + name + "_pb.ts"), await import("./large/v1/" + name + "_micro.ts")));
}
const { EnumsCodec } = await import("./large/v1/proto2_micro.ts");
const bytes = EnumsCodec.encode({ all: Array.from({ length: 1000 }, (_, index) => index * 3) });
const began = performance.now();
for (let i = 0; i < 100; i++) EnumsCodec.decode(bytes);
console.log(JSON.stringify({ faults, perList: (performance.now() - began) / 100 }));`,
      ],
    ]);
    const { faults, perList } = JSON.parse(await workspace.run("main.mts"));
    expect(faults).toEqual([]);
    // protobuf-es takes 0.03 ms; to compare with each of 5,000 values took tens of milliseconds.
    expect(perList).toBeLessThan(3);
    expect((await workspace.typeErrors()).filter((line) => !line.startsWith("main.mts"))).toEqual(
      [],
    );
  },
);
