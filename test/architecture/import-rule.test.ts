import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { ts } from "ts-morph";
import { describe, expect, test } from "vitest";
import { findCycle, graphOf, rooms, violations } from "./import-rule.ts";

const root = join(import.meta.dirname, "../..");

const driverFolders = readdirSync(join(root, "drivers")).map((name) => `drivers/${name}/src`);

/** The files at the top of the runtime: what others import from it. */
const entries = ["auth.ts", "driver.ts", "index.ts"];

function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/node_modules|[/\\]dist[/\\]/.test(file));
}

function sources(...folders: string[]): Map<string, string> {
  return new Map(
    folders
      .flatMap((folder) => typescriptFiles(join(root, folder)))
      .map((file) => [relative(root, file).split(sep).join("/"), readFileSync(file, "utf8")]),
  );
}

describe("the import rule", () => {
  const own = sources("runtime/src", ...driverFolders);

  test("holds for the runtime and for drivers", () => {
    expect(violations(own)).toEqual([]);
  });

  test("has a row for every driver", () => {
    const inTable = new Set(rooms.map(({ folder }) => folder));
    expect(driverFolders.filter((folder) => !inTable.has(folder))).toEqual([]);
  });

  test("has a room for every folder of the runtime, and a folder for every room", () => {
    const folders = readdirSync(join(root, "runtime/src"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `runtime/src/${name}`);
    const inTable = rooms
      .map(({ folder }) => folder)
      .filter((it) => /^runtime\/src\/[^/]+$/.test(it));
    expect(inTable.sort()).toEqual(folders.sort());
  });

  test("has only entries at the top of the runtime", () => {
    const files = readdirSync(join(root, "runtime/src"), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
    expect(files.sort()).toEqual([...entries].sort());
  });

  test.each<[what: string, file: string, text: string, complaint: RegExp]>([
    ["an arrow that points up", "transport/transport.ts", 'import "../client/client.ts";', /below/],
    ["a neighbour", "store/store.ts", 'import "../sync/sync.ts";', /not below it/],
    [
      "one hidden in a type import",
      "base/error.ts",
      'import type {} from "../call/call.ts";',
      /below/,
    ],
    ["one in an export", "codec/codec.ts", 'export * from "../store/store.ts";', /not below it/],
    ["one in a dynamic import", "broker/broker.ts", 'await import("../index.ts");', /not below it/],
    [
      "an implementation on another",
      "registry/cache/registry.ts",
      'import "../memory/registry.ts";',
      /another implementation/,
    ],
    [
      "an implementation of another interface",
      "broker/http/broker.ts",
      'import "../../registry/memory/registry.ts";',
      /imports an implementation/,
    ],
    [
      "a kit on an implementation",
      "registry/validate.ts",
      'import "./memory/registry.ts";',
      /shared by implementations/,
    ],
    [
      "a layer above on an implementation",
      "client/retry.ts",
      'import "../registry/memory/registry.ts";',
      /imports an implementation/,
    ],
    [
      "a layer above on what is not the contract",
      "client/retry.ts",
      'import "../registry/validate.ts";',
      /not the contract/,
    ],
    [
      "a module of Node that the room does without",
      "transport/http2/hpack/decoder.ts",
      'import "node:http2";',
      /may not import node:http2/,
    ],
    ["a package that is not the file's own", "client/retry.ts", 'import "yaml";', /package yaml/],
    ["a cycle", "base/error.ts", 'import "./metadata.ts";', /import cycle/],
    ["a file that is not there", "base/error.ts", 'import "./nothing.ts";', /does not exist/],
    ["a file outside every room", "base/error.ts", 'import "../../other.ts";', /no room/],
    [
      "a driver on a file of the runtime",
      "drivers/nats/src/store/store.ts",
      'import "../../../../runtime/src/store/store.ts";',
      /another package/,
    ],
    [
      "a driver on another entry of the runtime",
      "drivers/nats/src/store/store.ts",
      'import "@micro-es/runtime/codegenv1";',
      /package @micro-es\/runtime\/codegenv1/,
    ],
    [
      "a part of a driver on another part",
      "drivers/nats/src/store/store.ts",
      'import "../sync/sync.ts";',
      /another implementation/,
    ],
    [
      "a link on a part of its driver",
      "drivers/nats/src/link/link.ts",
      'import "../sync/sync.ts";',
      /not below it/,
    ],
  ])("fails when %s is planted", (_what, file, text, complaint) => {
    const all = new Map(own);
    const planted = file.startsWith("drivers/") ? file : `runtime/src/${file}`;
    expect(all.has(planted), planted).toBe(true);
    all.set(planted, `${all.get(planted)}\n${text}`);
    expect(violations(all).join("\n")).toMatch(complaint);
  });
});

describe("the command line program", () => {
  const program = () => sources("cli/src");

  test("has no import cycle", () => {
    const graph = graphOf(program());
    expect(graph.size).toBeGreaterThan(100);
    expect(findCycle(graph)).toBeUndefined();
  });

  test.each([
    ["an import", 'import "./commands.ts";'],
    ["a dynamic import", 'await import("./program.ts");'],
    ["a type import", 'import type {} from "./program.ts";'],
  ])("is found to have one when %s is planted", (_what, text) => {
    const all = program();
    all.set("cli/src/output.ts", `${all.get("cli/src/output.ts")}\n${text}`);
    all.set("cli/src/commands.ts", `${all.get("cli/src/commands.ts")}\nimport "./output.ts";`);
    expect(findCycle(graphOf(all))?.join(" -> ")).toContain("cli/src/output.ts");
  });
});

/** The modules that a file imports. */
function importsOf(file: string): string[] {
  return ts
    .preProcessFile(readFileSync(file, "utf8"), true, true)
    .importedFiles.map((it) => it.fileName);
}

/** Relative imports of these files that leave their package. */
function leavingPackage(files: ReadonlyMap<string, string>): readonly string[] {
  return [...files].flatMap(([file, text]) =>
    ts
      .preProcessFile(text, true, true)
      .importedFiles.map(({ fileName }) => fileName)
      .filter(
        (from) => from.startsWith(".") && !isIn(packageFolder(file), join(dirname(file), from)),
      )
      .map((from) => `${file} imports ${from}`),
  );
}

const packageFolder = (file: string) => file.split("/").slice(0, 2).join("/");
const isIn = (folder: string, path: string) => path.split(sep).join("/").startsWith(`${folder}/`);

test("a driver's tests are in its package, and share the rest through packages", () => {
  const tests = sources(...readdirSync(join(root, "drivers")).map((it) => `drivers/${it}/test`));
  expect(tests.size).toBeGreaterThan(10);
  expect(leavingPackage(tests)).toEqual([]);
  const planted = new Map([["drivers/nats/test/a.ts", 'import "../../../test/support/echo.ts";']]);
  expect(leavingPackage(planted)).toHaveLength(1);
});

test("the generator never imports the runtime", () => {
  const imports = typescriptFiles(join(root, "protoc-gen-micro/src")).flatMap(importsOf);
  expect(imports).toContain("@bufbuild/protoplugin");
  expect(imports.filter((from) => from.startsWith("@micro-es/"))).toEqual([]);
});

test("generated code imports the runtime's public names only", () => {
  const generated = ["test/gen", "examples"].flatMap((folder) =>
    typescriptFiles(join(root, folder)).filter((file) => /_(micro|codec)\.ts$/.test(file)),
  );
  expect(generated).not.toEqual([]);
  const known =
    /^(@micro-es\/runtime(\/codegenv1(\/(reflect|topic|well-known))?|\/gen\/.*)?|@bufbuild\/protobuf(\/wkt)?|\.{1,2}\/.*)$/;
  for (const from of generated.flatMap(importsOf)) expect(from).toMatch(known);
});
