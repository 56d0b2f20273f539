import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { ts } from "ts-morph";
import { describe, expect, test } from "vitest";
import { type Sources, violations } from "./import-rule.ts";

const root = join(import.meta.dirname, "../..");

function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/node_modules|[/\\]dist[/\\]/.test(file));
}

function runtimeSources(): Map<string, string> {
  const src = join(root, "runtime/src");
  return new Map(
    typescriptFiles(src).map((file) => [
      relative(src, file).split(sep).join("/"),
      readFileSync(file, "utf8"),
    ]),
  );
}

describe("the import rule", () => {
  test("holds for the runtime", () => {
    expect(violations(runtimeSources())).toEqual([]);
  });

  test.each<[what: string, file: string, text: string, complaint: RegExp]>([
    ["an arrow that points up", "transport/memory.ts", 'import "../client/client.ts";', /above it/],
    ["one hidden in a type import", "error.ts", 'import type { A } from "./call.ts";', /above it/],
    ["one in an export", "codec/codec.ts", 'export * from "../store/store.ts";', /above it/],
    ["one in a dynamic import", "broker/http.ts", 'await import("../service.ts");', /above it/],
    [
      "an implementation on another",
      "registry/cache.ts",
      'import "./memory.ts";',
      /another implementation/,
    ],
    [
      "an implementation of another interface",
      "broker/http.ts",
      'import "../registry/memory.ts";',
      /another/,
    ],
    [
      "a layer above on an implementation",
      "client/retry.ts",
      'import "../registry/memory.ts";',
      /contract/,
    ],
    ["a package that is not the file's own", "client/retry.ts", 'import "yaml";', /package yaml/],
    ["a cycle", "error.ts", 'import "./metadata.ts";', /circle/],
    ["a file that is not there", "error.ts", 'import "./nothing.ts";', /does not exist/],
  ])("fails when %s is planted", (_what, file, text, complaint) => {
    const sources: Sources = new Map([
      ...["call.ts", "client/client.ts", "store/store.ts", "service.ts"].map(
        (it) => [it, ""] as const,
      ),
      ...runtimeSources(),
      [file, `${runtimeSources().get(file) ?? ""}\n${text}`],
      ["registry/memory.ts", ""],
    ]);
    expect(violations(sources).join("\n")).toMatch(complaint);
  });
});

/** The modules that a file imports. */
function importsOf(file: string): string[] {
  return ts
    .preProcessFile(readFileSync(file, "utf8"), true, true)
    .importedFiles.map((it) => it.fileName);
}

test("the generator never imports the runtime", () => {
  const imports = typescriptFiles(join(root, "protoc-gen-micro/src")).flatMap(importsOf);
  expect(imports).toContain("@bufbuild/protoplugin");
  expect(imports.filter((from) => from.startsWith("@micro-es/"))).toEqual([]);
});

test("generated code imports the runtime's public names only", () => {
  const generated = ["test/gen", "examples"].flatMap((folder) =>
    typescriptFiles(join(root, folder)).filter((file) => file.endsWith("_micro.ts")),
  );
  expect(generated).not.toEqual([]);
  const known =
    /^(@micro-es\/runtime(\/codegenv1(\/(reflect|topic))?|\/gen\/.*)?|@bufbuild\/protobuf(\/wkt)?|\.{1,2}\/.*)$/;
  for (const from of generated.flatMap(importsOf)) expect(from).toMatch(known);
});
