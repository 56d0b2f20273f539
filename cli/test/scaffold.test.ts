import { execFile } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { handlerInterfaces } from "../src/scaffold/handler-interface.ts";
import { planScaffold } from "../src/scaffold/plan.ts";
import { micro } from "./support/micro.ts";

const repository = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "micro-scaffold-"));
writeFileSync(join(scratch, "package.json"), `{ "type": "module" }`);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const generated = join(repository, "examples/greeter/src/gen");
const all = ["hello", "watch", "upload", "chat", "onGreeted"];

/** A project with the greeter's generated code, and these files. */
function project(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(scratch, "project-"));
  cpSync(generated, join(folder, "src/gen"), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** What `micro scaffold` would write in a project: the text by the file's path. */
async function scaffold(folder: string) {
  const plans = await planScaffold({ project: folder, out: join(folder, "src") });
  const [plan] = plans;
  if (plan === undefined) throw new Error("no handler interface was found");
  const { change } = plan;
  return { ...plan, path: change && relative(folder, change.path), after: change?.after ?? "" };
}

/** Type-checks folders under the flags that generated code promises to pass. */
async function typeCheck(...folders: readonly string[]): Promise<void> {
  const root = mkdtempSync(join(scratch, "types-"));
  symlinkSync(join(repository, "node_modules"), join(scratch, "node_modules"), "dir");
  const config = {
    extends: join(repository, "tsconfig.base.json"),
    compilerOptions: {
      noEmit: true,
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
      customConditions: ["@micro-es/source"],
      types: [join(repository, "node_modules/@types/node")],
    },
    include: folders.map((folder) => join(folder, "src")),
  };
  writeFileSync(join(root, "tsconfig.json"), JSON.stringify(config));
  try {
    await promisify(execFile)(join(repository, "node_modules/.bin/tsc"), ["-p", root]);
  } catch (reason) {
    throw new Error((reason as { stdout: string }).stdout);
  } finally {
    rmSync(join(scratch, "node_modules"));
  }
}

describe("micro scaffold", () => {
  test("writes a class for a handler interface without implementation, and it type-checks", async () => {
    const folder = project();
    expect((await micro(["scaffold"], { cwd: folder })).stdout).toBe("src/greeter.ts: new\n");
    const text = readFileSync(join(folder, "src/greeter.ts"), "utf8");
    expect(text).toContain("export class Greeter implements GreeterHandler {");
    expect(text).toContain(
      "async *watch(request: WatchRequest, context: CallContext): AsyncIterable<TickInit> {",
    );
    expect(text).toContain(
      "async onGreeted(event: Greeted, context: EventContext): Promise<void> {",
    );
    expect(text).toContain("   * Greets one person.\n");
    const again = await micro(["scaffold"], { cwd: folder });
    expect(again).toMatchObject({ code: 0, stdout: "", stderr: "every method has a handler\n" });
    await typeCheck(folder);
  });

  test("treats an rpc named new as a method of that name", async () => {
    const interfaces = handlerInterfaces(
      "src/gen/s_micro.ts",
      `export interface SHandler { "new"(request: M, context: CallContext): Awaitable<MInit>; }
export function registerSHandler() {}`,
    );
    expect(interfaces[0]?.methods.map(({ name }) => name)).toEqual(["new"]);
  });

  test("writes to --out, from the user's own template", async () => {
    const folder = project({
      ".micro/templates/scaffold/handler.ts.hbs":
        "// ours\n{{#each imports}}{{{this}}}\n{{/each}}export class {{className}} implements {{interfaceName}} {\n{{#each methods}}{{{this}}}\n{{/each}}\n}\n",
    });
    await micro(["scaffold", "--out", "src/handlers"], { cwd: folder });
    const text = readFileSync(join(folder, "src/handlers/greeter.ts"), "utf8");
    expect(text).toMatch(/^\/\/ ours\nimport/);
    expect(text).toContain(`from "../gen/greeter/v1/greeter_micro.ts"`);
  });

  test("reports a broken template, and writes nothing", async () => {
    const folder = project({ ".micro/templates/scaffold/handler.ts.hbs": "{{clasName}}" });
    const { stderr, code } = await micro(["scaffold"], { cwd: folder });
    expect(stderr).toMatch(/handler\.ts\.hbs:\d+: the template is broken: .*clasName/);
    expect(code).toBe(2);
    expect(readdirSync(join(folder, "src"))).toEqual(["gen"]);
  });

  test("adds to a typed object and to an untyped one that is registered", async () => {
    for (const [before, expected] of [
      [
        `import { type GreeterHandler } from "./gen/greeter/v1/greeter_micro.js";\nexport const greeter: GreeterHandler = {\n  hello: () => ({}),\n};\n`,
        /hello: \(\) => \(\{\}\),\n\n {2}\/\*\* Sends a message for each tick of a clock. \*\/\n {2}async \*watch\(request, context\) \{/,
      ],
      [
        `import { registerGreeterHandler as register } from './gen/greeter/v1/greeter_micro.js'\nregister(server, { hello() { return {} } })\n`,
        /hello\(\) \{ return \{\} \},\n\n {2}\/\*\* Sends/,
      ],
      [
        `import { type GreeterHandler } from "./gen/greeter/v1/greeter_micro.js";\nexport const greeter = {} satisfies GreeterHandler;\n`,
        /= \{\n {2}\/\*\*\n {3}\* Greets one person/,
      ],
    ] as const) {
      const { after } = await scaffold(project({ "src/main.ts": before }));
      expect(after).toMatch(expected);
    }
  });

  test.each([
    [
      "a base class",
      "extends Base implements GreeterHandler {",
      "it extends Base, which may have them",
    ],
    [
      "a computed name",
      "implements GreeterHandler {\n  [name]() {}",
      "it has a computed name, [name]",
    ],
  ])("prints code to paste if %s may have the methods", async (_, head, why) => {
    const text = `import type { GreeterHandler } from "./gen/greeter/v1/greeter_micro.ts";\nexport class Greeter ${head}\n}\n`;
    const folder = project({ "src/greeter.ts": text });
    const { stdout, code } = await micro(["scaffold"], { cwd: folder });
    expect(stdout).toContain(why);
    expect(stdout).toContain("async hello(request: HelloRequest, context: CallContext)");
    expect(code).toBe(1);
    expect(readFileSync(join(folder, "src/greeter.ts"), "utf8")).toBe(text);
  });

  test("prints code to paste if two classes implement a part", async () => {
    const text = `import type { GreeterHandler } from "./gen/greeter/v1/greeter_micro.ts";\nexport class Greeter implements GreeterHandler {\n}\n`;
    const { paste, change } = await scaffold(project({ "src/a.ts": text, "src/b.ts": text }));
    expect(change).toBeUndefined();
    expect(paste?.why).toMatch(/several implement GreeterHandler: .*a\.ts, .*b\.ts/);
  });

  test("prints code to paste if the file of a new class exists", async () => {
    const text = "export const nothing = 0;\n";
    const { paste, change } = await scaffold(project({ "src/greeter.ts": text }));
    expect(change).toBeUndefined();
    expect(paste?.why).toMatch(/greeter\.ts exists, but nothing in it implements GreeterHandler; /);
    expect(paste?.text).toContain("async hello(request: HelloRequest, context: CallContext)");
  });

  test("reports methods that the schema dropped or changed, and does not touch them", async () => {
    const text = `import type { CallContext } from "@micro-es/runtime";
import type { GreeterHandler } from "./gen/greeter/v1/greeter_micro.ts";
export class Greeter implements GreeterHandler {
  async hello(request: Line, context: CallContext) { return {}; }
  async watch(request: WatchRequest, context: CallContext) { return {}; }
  async goodbye(request: Line, context: CallContext) { return {}; }
  #own(text: string) { return text; }
}
`;
    const { differences, after } = await scaffold(project({ "src/greeter.ts": text }));
    expect(differences.map(({ line, method, problem }) => [line, method, problem])).toEqual([
      [4, "hello", "takes Line, and now gets HelloRequest"],
      [5, "watch", "returns one message, and must now return a stream"],
      [6, "goodbye", "GreeterHandler no longer has it; the schema removed or renamed it"],
    ]);
    for (const line of text.split("\n").slice(3, 7)) expect(after).toContain(line);
  });

  test("--check ends with 1 while a method is missing, --dry-run prints a patch that applies", async () => {
    const folder = project();
    const check = await micro(["scaffold", "--check", "--json"], { cwd: folder });
    expect(check.code).toBe(1);
    expect(JSON.parse(check.stdout)).toMatchObject({
      handler: "GreeterHandler",
      missing: all,
      written: false,
    });
    const { stdout, code } = await micro(["scaffold", "--dry-run"], { cwd: folder });
    expect(code).toBe(0);
    expect(readdirSync(join(folder, "src"))).toEqual(["gen"]);
    writeFileSync(join(folder, "change.patch"), stdout);
    await promisify(execFile)("git", ["apply", "change.patch"], { cwd: folder });
    expect((await micro(["scaffold", "--check"], { cwd: folder })).code).toBe(0);
  });

  test("--dry-run in one package of a workspace prints a patch for the workspace's root", async () => {
    const root = mkdtempSync(join(scratch, "workspace-"));
    const files = {
      "package.json": `{ "name": "all", "workspaces": ["packages/*"] }`,
      "packages/schema/package.json": `{ "name": "schema" }`,
      "packages/greeter/package.json": `{ "name": "greeter" }`,
      "packages/greeter/greeter.ts": `import type { GreeterHandler } from "../schema/src/gen/greeter/v1/greeter_micro.ts";\nexport class Greeter implements GreeterHandler {\n  hello() {}\n}\n`,
    };
    cpSync(generated, join(root, "packages/schema/src/gen"), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(root, name, ".."), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    const { stdout } = await micro(["scaffold", "--dry-run"], {
      cwd: join(root, "packages/schema"),
    });
    expect(stdout).toContain("+++ b/packages/greeter/greeter.ts");
    writeFileSync(join(root, "change.patch"), stdout);
    await promisify(execFile)("git", ["apply", "change.patch"], { cwd: root });
    expect(readFileSync(join(root, "packages/greeter/greeter.ts"), "utf8")).toContain("onGreeted");
  });

  test("says what to do if there is no generated code", async () => {
    const { stderr, code } = await micro(["scaffold"], {
      cwd: mkdtempSync(join(scratch, "empty-")),
    });
    expect(stderr).toMatch(/no generated code is below .*; run `micro generate` first/);
    expect(code).toBe(2);
  });
});

/** Files as people write them: any style, any part of the methods, comments anywhere. */
const userFile = fc
  .record({
    have: fc.subarray(all.slice(1)),
    quote: fc.constantFrom("'", '"'),
    semicolon: fc.constantFrom("", ";"),
    newline: fc.constantFrom("\n", "\r\n"),
    indent: fc.constantFrom("\t", "  ", "    "),
    extension: fc.constantFrom(".ts", ".js"),
    typeOnly: fc.boolean(),
    head: fc.constantFrom("", "#!/usr/bin/env node\n", "// what this is\n\n", "/* header */ "),
    own: fc.constantFrom(
      "",
      "#count = 0;",
      "readonly name = 'x' // why",
      "private twice(n: number) { return n * 2 }",
    ),
    tail: fc.constantFrom("", " // last", " /* and */ // more"),
    foot: fc.constantFrom("", "// before the brace", "/* a\n   block */"),
    after: fc.constantFrom("", "export const other = { a: 1 }", "// GreeterHandler, the end"),
    oneLine: fc.boolean(),
  })
  .map((it) => {
    const { quote, semicolon, indent } = it;
    const module = `./gen/greeter/v1/greeter_micro${it.extension}`;
    const methods = it.have.map((name) => {
      const star = name === "watch" || name === "chat";
      return `${indent}${star ? "async *" : "async "}${name}() {${star ? "" : name === "onGreeted" ? "" : " return {}"} }`;
    });
    const members = [...(it.own === "" ? [] : [indent + it.own]), ...methods];
    if (members.length > 0) members[members.length - 1] += it.tail;
    const lines = [
      `import ${it.typeOnly ? "type { GreeterHandler }" : "{ type GreeterHandler }"} from ${quote}${module}${quote}${semicolon}`,
      "",
      `export class Greeter implements GreeterHandler {`,
      ...members,
      ...(it.foot === "" ? [] : [indent + it.foot]),
      "}",
      it.after,
    ];
    const compact = it.oneLine && members.length === 0 && it.foot === "";
    const text = compact ? lines.join("\n").replace("{\n}", "{}") : lines.join("\n");
    return { text: (it.head + text).replaceAll("\n", it.newline), have: it.have };
  });

describe("a handwritten file", () => {
  test("keeps every line except imports, gets the missing methods once, and type-checks", async () => {
    const folders: string[] = [];
    await fc.assert(
      fc.asyncProperty(userFile, async ({ text, have }) => {
        const folder = project({ "src/my-greeter.ts": text });
        const { missing, path, after } = await scaffold(folder);
        expect(missing).toEqual(all.filter((name) => !have.includes(name)));
        expect(path).toBe("src/my-greeter.ts");
        const kept = after.split("\n");
        for (const line of text.split("\n")) {
          if (line.startsWith("import ") || line.includes("*/ import ") || line.includes("{}"))
            continue;
          const at = kept.indexOf(line);
          expect(
            at,
            `lost: ${JSON.stringify(line)} of\n${text}\nin\n${after}`,
          ).toBeGreaterThanOrEqual(0);
          kept.splice(0, at + 1);
        }
        if (text.includes("\r\n")) expect(after.replaceAll("\r\n", "")).not.toContain("\n");
        writeFileSync(join(folder, "src/my-greeter.ts"), after);
        expect((await scaffold(folder)).missing).toEqual([]);
        folders.push(folder);
      }),
      { numRuns: 60, seed: 20_261_124 },
    );
    await typeCheck(...folders);
  });
});
