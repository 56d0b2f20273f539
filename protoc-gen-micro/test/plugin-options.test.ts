import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { protocGenMicro } from "../src/plugin.ts";
import { optionTable } from "../src/plugin-options.ts";
import { version } from "../src/version.ts";
import { compile, generate, proto } from "./support/compile.ts";

const compiled = compile({
  "acme/greeter.proto": proto(
    `
service Greeter {
  rpc Hello(Name) returns (Name);
  rpc OnGreeted(Greeted) returns (google.protobuf.Empty) { option (micro.v1.subscribe) = {}; }
  rpc OnPaid(shop.v1.Paid) returns (google.protobuf.Empty) { option (micro.v1.subscribe) = {}; }
}
message Name { string name = 1; }
message Greeted { option (micro.v1.topic) = { name: "greeted" }; string name = 1; }
`,
    'import "shop/paid.proto";',
  ),
  "shop/paid.proto": `syntax = "proto3";
package shop.v1;
import "micro/v1/options.proto";
message Paid { option (micro.v1.topic) = { name: "paid" }; }`,
  "acme/types.proto": 'syntax = "proto3"; package types.v1; message Type {}',
});

function output(parameter: string, name = "acme/greeter.proto"): Map<string, string> {
  return generate(compiled.request([name], parameter));
}

function text(parameter: string): string {
  return output(parameter).get("acme/greeter_micro.ts")!;
}

describe("protoplugin's options", () => {
  test("target names the files that are written", () => {
    const both = (...extensions: string[]) =>
      extensions.flatMap((it) => [`acme/greeter_codec.${it}`, `acme/greeter_micro.${it}`]).sort();
    expect([...output("target=ts").keys()].sort()).toEqual(both("ts"));
    expect([...output("target=js+dts").keys()].sort()).toEqual(both("js", "d.ts"));
    expect([...output("").keys()].sort()).toEqual(both("js", "d.ts"));
    expect([...output("target=dts+ts+js").keys()].sort()).toEqual(both("js", "d.ts", "ts"));
  });

  test.each([
    ["none", "./greeter_pb", "../shop/paid_micro"],
    ["js", "./greeter_pb.js", "../shop/paid_micro.js"],
    ["ts", "./greeter_pb.ts", "../shop/paid_micro.ts"],
    [".ts", "./greeter_pb.ts", "../shop/paid_micro.ts"],
  ])("import_extension=%s", (extension, pb, micro) => {
    const code = text(`target=ts,import_extension=${extension}`);
    expect(code).toContain(`from "${pb}";`);
    expect(code).toContain(`from "${micro}";`);
    expect(code).toContain(`export * from "${pb.replace("_pb", "_codec")}";`);
    expect(code).toContain('from "@micro-es/runtime/codegenv1";');
  });

  test("js_import_style=legacy_commonjs concerns JavaScript only", () => {
    const files = output("target=js+dts,js_import_style=legacy_commonjs,codec=reflect");
    const js = files.get("acme/greeter_micro.js")!;
    expect(js).toContain('const { calls, serves } = require("@micro-es/runtime/codegenv1");');
    expect(js).toContain('const { topic } = require("@micro-es/runtime/codegenv1/topic");');
    expect(js).toContain("exports.createGreeterClient = createGreeterClient;");
    expect(js).toContain("exports.NameCodec = NameCodec;");
    expect(js).toContain("exports.greeterCodecs = greeterCodecs;");
    const codecs = files.get("acme/greeter_codec.js")!;
    expect(codecs).toContain('const { codec } = require("@micro-es/runtime/codegenv1/reflect");');
    for (const text of [js, codecs]) expect(text).not.toMatch(/^(import|export) /m);
    expect(files.get("acme/greeter_micro.d.ts")).toMatch(/^import type /m);
  });

  test("map_imports applies to messages and to topics", () => {
    const code = text("target=ts,import_extension=js,map_imports=shop/:@acme/shop/gen");
    expect(code).toContain('from "@acme/shop/gen/shop/paid_pb.js";');
    expect(code).toContain('import { PaidTopic } from "@acme/shop/gen/shop/paid_micro.js";');
  });

  test("map_imports for the file itself applies to _pb, and not to the files of the run", () => {
    const code = text("target=ts,import_extension=js,map_imports=acme/:@acme/gen");
    expect(code).toContain('from "@acme/gen/acme/greeter_pb.js";');
    expect(code).toContain('from "./greeter_codec.js";');
  });

  test("rewrite_imports", () => {
    const code = text("target=ts,rewrite_imports=./shop/**/*_micro.js:@acme/shop");
    expect(code).toContain('import { PaidTopic } from "@acme/shop/shop/paid_micro.js";');
    const runtime = text("target=ts,rewrite_imports=@micro-es/runtime:@acme/runtime");
    expect(runtime).toContain('from "@acme/runtime";');
  });

  test("a file without output is written only with keep_empty_files", () => {
    const types = output("target=ts", "acme/types.proto");
    expect(types.get("acme/types_codec.ts")).toContain("messageCodec");
    expect(types.get("acme/types_micro.ts")).toContain('export * from "./types_codec";');
    const reflect = "codec=reflect";
    expect(output(`target=ts,${reflect}`, "acme/types.proto").size).toBe(0);
    const kept = output(`target=js+ts+dts,keep_empty_files=true,${reflect}`, "acme/types.proto");
    expect([...kept.keys()].sort()).toEqual([
      "acme/types_codec.d.ts",
      "acme/types_codec.js",
      "acme/types_codec.ts",
      "acme/types_micro.d.ts",
      "acme/types_micro.js",
      "acme/types_micro.ts",
    ]);
    expect(kept.get("acme/types_micro.ts")).toContain("@generated from file acme/types.proto");
  });

  test("ts_nocheck", () => {
    expect(text("target=ts,ts_nocheck=true")).toContain("// @ts-nocheck\n");
    expect(text("target=ts")).not.toContain("@ts-nocheck");
  });

  test("elide_plugin_version", () => {
    expect(text("target=ts")).toContain(
      `by protoc-gen-micro v${version} with parameter "target=ts"`,
    );
    expect(text("target=ts,elide_plugin_version=true")).toContain("by protoc-gen-micro with");
  });
});

describe("the plugin's own options", () => {
  test("codec=fast is the default", () => {
    const body = (code: string): string => code.slice(code.indexOf("/* eslint-disable */"));
    const codecs = (parameter: string): string =>
      body(output(parameter).get("acme/greeter_codec.ts")!);
    expect(codecs("target=ts,codec=fast")).toBe(codecs("target=ts"));
    expect(codecs("target=ts,codec=reflect")).not.toBe(codecs("target=ts"));
  });

  test("services= writes one half", () => {
    const client = text("target=ts,services=client");
    expect(client).toContain("export function createGreeterClient");
    expect(client).not.toContain("GreeterHandler");
    expect(client).not.toContain("shop/paid");
    const handler = text("target=ts,services=handler");
    expect(handler).toContain("export function registerGreeterHandler");
    expect(handler).not.toContain("GreeterClient");
    expect(text("target=ts,services=handler+client")).toContain("GreeterClient");
  });

  test("topics=false exports no topics, and subscribers keep theirs", () => {
    const code = text("target=ts,topics=false");
    expect(code).toMatch(/^const GreetedTopic: Topic</m);
    expect(code).toMatch(/^const PaidTopic: Topic</m);
    expect(code).not.toContain("paid_micro");
    const client = text("target=ts,topics=false,services=client,codec=reflect");
    expect(client).not.toContain("Topic");
    expect(client).not.toContain("GreetedCodec");
    const clientCodecs = output("target=ts,topics=false,services=client,codec=reflect").get(
      "acme/greeter_codec.ts",
    );
    expect(clientCodecs).toContain("NameCodec");
    expect(clientCodecs).not.toContain("GreetedCodec");
    expect(output("target=ts,topics=false,codec=reflect", "shop/paid.proto").size).toBe(0);
    const dts = output("target=dts,topics=false").get("acme/greeter_micro.d.ts")!;
    expect(dts).not.toContain("Topic");
  });

  test("methods=export", () => {
    expect(text("target=ts,methods=export")).toMatch(/^export const Greeter_hello: Method</m);
    expect(text("target=ts,methods=local")).toMatch(/^const Greeter_hello: Method</m);
    expect(text("target=ts")).toMatch(/^const Greeter_hello: Method</m);
    const dts = "acme/greeter_micro.d.ts";
    expect(output("target=dts,methods=export").get(dts)).toContain(
      "export declare const Greeter_hello: Method<Name, NameInit, Name, NameInit>;",
    );
    expect(output("target=dts").get(dts)).not.toContain("Greeter_hello");
  });
});

describe("wrong options", () => {
  const errorOf = (parameter: string): string | undefined => {
    const response = protocGenMicro.run(compiled.request(["acme/greeter.proto"], parameter));
    expect(response.file).toEqual([]);
    return response.error;
  };

  test.each([
    [
      "codecs=fast",
      /unknown option "codecs". Did you mean codec\? Options: target, import_extension/,
    ],
    ["pretty", /unknown option "pretty". Options: /],
    ["bootstrap_wkt=true", /unknown option "bootstrap_wkt"/],

    ["codec=slow", /option codec does not accept "slow"; allowed: fast, reflect/],
    ["services=", /option services does not accept ""; allowed: client, handler, joined by \+/],
    ["services=client+server", /option services does not accept "client\+server"/],
    ["topics=maybe", /option topics does not accept "maybe"; allowed: true, false/],
    ["methods=all", /option methods does not accept "all"; allowed: export, local/],
    ["target=java", /option target does not accept "java"; allowed: js, ts, dts, joined by \+/],
    [
      "import_extension=mjs",
      /option import_extension does not accept "mjs"; allowed: none, js, ts/,
    ],
    ["js_import_style=umd", /allowed: module, legacy_commonjs/],
    [
      "map_imports=nowhere",
      /option map_imports does not accept "nowhere"; allowed: <glob>:<package>/,
    ],
    ["rewrite_imports=x", /allowed: <glob>:<target>/],
    ["keep_empty_files=yes", /allowed: true, false/],
    ["ts_nocheck=on", /allowed: true, false/],
    ["elide_plugin_version=on", /allowed: true, false/],
  ])("refuses %s with its name, its value and the allowed ones", (parameter, message) => {
    expect(errorOf(parameter)).toMatch(message);
  });

  test("all of them are reported at once", () => {
    expect(errorOf("codec=slow,pretty")?.split("\n")).toHaveLength(2);
  });
});

test("the README's table of options matches the code", () => {
  const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
  for (const { name, values, default: initial, description } of optionTable) {
    const shown = initial === "" ? "" : `\`${initial}\``;
    expect(readme).toContain(
      `| \`${name}\` | ${values.replaceAll("|", "\\|")} | ${shown} | ${description} |`,
    );
  }
});

test("the version is that of the package", () => {
  const manifest = readFileSync(join(import.meta.dirname, "../package.json"), "utf8");
  expect(version).toBe((JSON.parse(manifest) as { version: string }).version);
});
