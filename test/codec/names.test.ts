import { afterAll, expect, test, vi } from "vitest";
import { type Compiled, compile } from "../../protoc-gen-micro/test/support/compile.ts";
import { Workspace } from "../../protoc-gen-micro/test/support/workspace.ts";
import { long, testInCi } from "../support/long.ts";
import { Random } from "./random-message.ts";
import { randomSchema } from "./random-schema.ts";

/**
 * Names that generated code could trip over: of globals, of what the runtime exports, of what
 * generated code itself writes, and of what it makes of the names of types. The output for each
 * must load, type-check, and mean what protobuf-es' does.
 */
const count = Number(process.env.MICRO_NAMES_COUNT ?? 4);
const seed = Number(process.env.MICRO_NAMES_SEED ?? 1);

// Two cores that others use too take half a minute for the types.
vi.setConfig({ testTimeout: 180_000 });

const workspaces: Workspace[] = [];
afterAll(() => {
  for (const workspace of workspaces) workspace.remove();
});

function schemas(typed: boolean): { compiled: Compiled; names: string[] } {
  const sources: Record<string, string> = {};
  for (let i = 0; i < count; i++) {
    Object.assign(sources, randomSchema(`s${i}`, new Random(seed * 1000 + i), { typed }));
  }
  return { compiled: compile(sources), names: Object.keys(sources) };
}

function generated(
  { compiled, names }: { compiled: Compiled; names: string[] },
  parameter: string,
  type: "module" | "commonjs",
): Workspace {
  const workspace = new Workspace();
  workspaces.push(workspace);
  workspace.generate(
    compiled,
    names,
    parameter,
    "",
    parameter.includes("target=ts") ? undefined : "",
  );
  const extension = parameter.includes("target=ts") ? ".ts" : ".js";
  workspace.write([
    ["package.json", JSON.stringify({ type })],
    [
      "main.mts",
      `import { faultsOf } from "../../test/codec/judge-names.ts";
const faults = [];
for (const name of ${JSON.stringify(names.map((name) => name.replace(".proto", "")))}) {
  try {
    const [pb, micro] = [await import("./" + name + "_pb${extension}"), await import("./" + name + "_micro${extension}")];
    faults.push(...faultsOf(pb, micro));
  } catch (error) {
    faults.push(name + ": " + error);
  }
}
console.log(JSON.stringify(faults));`,
    ],
  ]);
  return workspace;
}

async function faults(workspace: Workspace): Promise<string[]> {
  return JSON.parse(await workspace.run("main.mts")) as string[];
}

// Cases found by hand, described in their own words.
const typedCases = {
  "cases/number.proto": `edition = "2023"; package cases.number;
message Absent { double Number = 1 [default = inf]; float e = 2 [default = inf]; double Object = 3 [default = nan]; }`,
  "cases/hidden.proto": `syntax = "proto3"; package cases.hidden;
message item { string a = 1; }
message Order { item first = 1; string writeitem = 2; string readitem = 3; string checkType = 4; }`,
  "cases/inherited.proto": `syntax = "proto3"; package cases.inherited;
message M {
  int64 has_own_property = 1; uint64 is_prototype_of = 2 [jstype = JS_STRING]; sint64 to_locale_string = 3;
  repeated fixed64 property_is_enumerable = 4;
}`,
  "cases/inherited-default.proto": `syntax = "proto2"; package cases.inherited_default;
message M {
  optional M has_own_property = 1; optional M to_string = 2; optional double ratio = 3 [default = 2];
}`,
  "cases/imported.proto": `syntax = "proto3"; package cases.imported;
message isState { string a = 1; }
message newM { string a = 1; }
message readM { string a = 1; }`,
  "cases/importing.proto": `syntax = "proto2"; package cases.importing; import "cases/imported.proto";
enum State { ON = 1; OFF = 2; }
message M { optional State state = 1; optional cases.imported.isState is = 2; optional cases.imported.newM new = 3; repeated cases.imported.readM read = 4; }`,
  "cases/next.proto": `syntax = "proto2"; package cases.next;
enum Next { STOP = 1; GO = 2; }
enum String { S_A = 1; }
message M { optional Next next = 1; map<int32, string> names = 2; optional String s = 3; optional int64 j = 4 [jstype = JS_STRING]; }`,
};
const untypedCases = {
  ...typedCases,
  "cases/digit.proto": `syntax = "proto3"; package cases.digit;
message Digit { int32 _2nd = 1; string ___ = 2; repeated int32 _3 = 3; oneof _6 { int32 _4 = 4; Digit _5th = 5; } }`,
  "cases/twins.proto": `syntax = "proto2"; package cases.twins;
message Twins { optional int32 self = 1; optional int32 self_ = 2 [json_name = "other"]; repeated string a_b = 3; repeated string aB = 4 [json_name = "c"]; }`,
};

test.each([
  ["TypeScript", typedCases, "target=ts,import_extension=ts", "module"],
  ["JavaScript", untypedCases, "target=js,import_extension=js", "module"],
  [
    "CommonJS",
    untypedCases,
    "target=js,js_import_style=legacy_commonjs,import_extension=js",
    "commonjs",
  ],
] as const)(
  "%s with names that are known to be hard loads, and means what protobuf-es' does",
  async (_, sources, parameter, type) => {
    const compiled = compile(sources);
    const workspace = generated({ compiled, names: Object.keys(sources) }, parameter, type);
    expect(await faults(workspace)).toEqual([]);
    if (parameter.includes("target=ts")) {
      expect((await workspace.typeErrors()).filter((line) => !line.startsWith("main.mts"))).toEqual(
        [],
      );
    }
  },
);

test("a oneof with the name of a field loads, and everything else in its file is generated", async () => {
  const compiled = compile({
    "a.proto": `syntax = "proto3"; package a;
message Both { int32 x = 1; oneof x_ { string y = 2; } }
message Other { string name = 1; }`,
  });
  const workspace = generated(
    { compiled, names: ["a.proto"] },
    "target=js,import_extension=js",
    "module",
  );
  workspace.write([
    [
      "main.mts",
      'import { OtherCodec } from "./a_micro.js"; console.log(OtherCodec.encode({ name: "x" }).length);',
    ],
  ]);
  expect(await workspace.run("main.mts")).toBe("3\n");
});

testInCi(
  "TypeScript with any names loads, type-checks and means what protobuf-es' does",
  async () => {
    const workspace = generated(schemas(true), "target=ts,import_extension=ts", "module");
    expect(await faults(workspace)).toEqual([]);
    const errors = await workspace.typeErrors();
    expect(errors.filter((line) => !line.startsWith("main.mts"))).toEqual([]);
  },
);

testInCi(
  "JavaScript with any names loads and means what protobuf-es' does, even if members share a name",
  async () => {
    const all = schemas(false);
    expect(await faults(generated(all, "target=js,import_extension=js", "module"))).toEqual([]);
  },
);

test.runIf(long)("JavaScript with any names has declarations that type-check", async () => {
  const workspace = generated(schemas(true), "target=js+dts,import_extension=js", "module");
  expect((await workspace.typeErrors()).filter((line) => !line.startsWith("main.mts"))).toEqual([]);
});

test.runIf(long)("CommonJS with any names loads and means what protobuf-es' does", async () => {
  const parameter = "target=js,import_extension=js,js_import_style=legacy_commonjs";
  expect(await faults(generated(schemas(false), parameter, "commonjs"))).toEqual([]);
});
