import { expect, test } from "vitest";
import { compile, generate } from "./support/compile.ts";
import { Workspace } from "./support/workspace.ts";

const sources = {
  "types.proto": `syntax = "proto3";
package types;
message keyof { string a = 1; }
message any {}
enum undefined { ZERO = 0; }
service await { rpc A(any) returns (keyof); }
message Fine { message keyof {} keyof inner = 1; }
`,
  "members.proto": `syntax = "proto3";
package members;
message M {
  int32 _ = 1;
  int32 _2nd = 2;
  int32 fine = 3;
  oneof fine_ { string other = 4; }
}
`,
  "commonjs.proto": `syntax = "proto3";
package commonjs;
enum exports { ZERO = 0; }
service require { rpc A(module) returns (module); }
message module { string __filename = 1; }
`,
  "odd#name.proto": 'syntax = "proto3"; package odd; message M {}',
};
const compiled = compile(sources, { withOptions: false });

function errorOf(name: string, target: string): string {
  try {
    generate(compiled.request([name], `target=${target}`));
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

test("types without a usable name in protoc-gen-es are errors with their position", () => {
  expect(errorOf("types.proto", "ts").split("\n")).toEqual([
    "4 names that protoc-gen-es cannot generate code for",
    "types.proto:3:9: message types.keyof cannot have this name in TypeScript; rename it",
    "types.proto:4:9: message types.any cannot have this name in TypeScript; rename it",
    "types.proto:5:6: enum types.undefined cannot have this name in TypeScript; rename it",
    "types.proto:6:9: service types.await cannot have this name in TypeScript; rename it",
  ]);
  expect(errorOf("types.proto", "dts")).toContain("types.proto:3:9: message types.keyof");
  expect(errorOf("types.proto", "js").split("\n")).toEqual([
    "1 name that protoc-gen-es cannot generate code for",
    "types.proto:6:9: service types.await cannot have this name in JavaScript; rename it",
  ]);
});

test("constants that clash with CommonJS are errors with their position, and fine in ECMAScript modules", () => {
  const style = "js,import_extension=js,js_import_style=";
  expect(errorOf("commonjs.proto", `${style}legacy_commonjs`).split("\n")).toEqual([
    "2 names that protoc-gen-es cannot generate code for",
    "commonjs.proto:3:6: enum commonjs.exports cannot have this name in CommonJS; rename it",
    "commonjs.proto:4:9: service commonjs.require cannot have this name in CommonJS; rename it",
  ]);
  expect(errorOf("commonjs.proto", `${style}module`)).toBe("");
});

test("members that TypeScript cannot declare are errors with their position, and fine in JavaScript", () => {
  expect(errorOf("members.proto", "ts").split("\n")).toEqual([
    "3 names that protoc-gen-es cannot generate code for",
    'members.proto:4:9: field members.M._: its property would be ""; use a name that begins with a letter',
    'members.proto:5:9: field members.M._2nd: its property would be "2nd"; use a name that begins with a letter',
    'members.proto:7:9: oneof members.M.fine_: its property is "fine", like that of field members.M.fine; rename one of them',
  ]);
  expect(errorOf("members.proto", "js+dts")).toBe("");
});

test.each(["#", "?", "%"])(
  "a file name with %s is encoded in JavaScript, and an error in TypeScript",
  async (character) => {
    const odd = `odd${character}name`;
    const encoded = `odd${encodeURIComponent(character)}name`;
    const it = compile({ [`${odd}.proto`]: sources["odd#name.proto"] }, { withOptions: false });
    const filesOf = (options: string) => generate(it.request([`${odd}.proto`], options));
    expect(() => filesOf("target=ts")).toThrow(`${odd}.proto:1:1: file`);
    const files = filesOf("target=js+dts,import_extension=js");
    expect(files.get(`${odd}_codec.js`)).toContain(`import("./${encoded}_pb.js")`);
    expect(files.get(`${odd}_codec.d.ts`)).toContain(`from "./${odd}_pb.js";`);
    expect(files.get(`${odd}_micro.js`)).toContain(`export * from "./${encoded}_codec.js";`);
    expect(files.get(`${odd}_micro.d.ts`)).toContain(`export * from "./${odd}_codec.js";`);
    const common = "target=js,import_extension=js,js_import_style=legacy_commonjs";
    expect(filesOf(common).get(`${odd}_codec.js`)).toContain(`require("./${odd}_pb.js")`);

    const workspace = new Workspace();
    try {
      workspace.generate(it, [`${odd}.proto`], "target=js,import_extension=js", "", "");
      workspace.write([
        ["package.json", '{ "type": "module" }'],
        [
          "main.mjs",
          `const { MCodec } = await import("./${encoded}_micro.js"); console.log(MCodec.typeName);`,
        ],
      ]);
      expect(await workspace.run("main.mjs")).toBe("odd.M\n");
    } finally {
      workspace.remove();
    }
  },
);
