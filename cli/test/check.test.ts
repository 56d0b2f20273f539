import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { long, testInCi } from "../../test/support/long.ts";
import { micro } from "./support/micro.ts";
import { installInto } from "./support/workspace.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-check-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let generated: Promise<string> | undefined;

/** A new project as `npm install` and `npm run generate` leave it, in a folder of its own. */
async function newProject(folder = mkdtempSync(join(scratch, "in-"))): Promise<string> {
  generated ??= generateProject(mkdtempSync(join(scratch, "generated-")));
  const project = join(folder, "shop");
  cpSync(await generated, project, { recursive: true, verbatimSymlinks: true });
  return project;
}

async function generateProject(folder: string): Promise<string> {
  expect((await micro(["new", "shop"], { cwd: folder })).code).toBe(0);
  const project = join(folder, "shop");
  installInto(project);
  expect(await micro(["generate"], { cwd: project })).toEqual({
    code: 0,
    stdout: "generated in src/gen\n",
    stderr: "",
  });
  return project;
}

function git(cwd: string, ...args: string[]): void {
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd });
}

function commit(cwd: string): void {
  git(cwd, "init", "-q", "-b", "main", ".");
  git(cwd, "add", "-A");
  git(cwd, "commit", "-qm", "start");
}

const proto = "proto/shop/v1/shop.proto";
function edit(project: string, from: string, to: string): void {
  const file = join(project, proto);
  const text = readFileSync(file, "utf8");
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
}

const good = "✓ generated code is up to date\n✓ handlers are complete\n";

describe("micro check", () => {
  testInCi("reports what a schema change requires, until it is done", async () => {
    const project = await newProject();
    commit(project);
    const check = (...words: string[]) => micro(["check", ...words], { cwd: project });
    expect(await check()).toEqual({
      code: 0,
      stdout: `${good}✓ schema is compatible with main\n`,
      stderr: "",
    });
    edit(
      project,
      "service ShopService {",
      "service ShopService {\n  rpc Bye(HelloRequest) returns (HelloResponse);\n",
    );
    const stale = await check("--skip", "handlers,schema");
    expect(stale.code).toBe(1);
    expect(stale.stdout).toMatch(
      /^✗ generated code\n {4}src\/gen\/shop\/v1\/shop_micro\.ts is out of date\n[\s\S]* {2}run `micro generate` and commit/,
    );
    await micro(["generate"], { cwd: project });
    const lacking = await check("--skip", "generated,schema");
    expect(lacking.code).toBe(1);
    expect(lacking.stdout).toMatch(
      /✗ handlers\n {4}ShopServiceHandler lacks bye\n {2}run `micro scaffold` to write/,
    );
    await micro(["scaffold"], { cwd: project });
    expect((await check()).code).toBe(0);
    edit(project, "string message = 1;", "int32 message = 1;");
    await micro(["generate"], { cwd: project });
    const broken = await check("--skip", "generated,handlers");
    expect(broken.code).toBe(1);
    expect(broken.stdout).toMatch(
      /✗ schema\n {4}proto\/shop\/v1\/shop\.proto:\d+:\d+:Field "1" .* changed type[^\n]*\n {2}add fields/,
    );
  });

  testInCi(
    "fails for a missing subscriber, and for generated code of a deleted schema",
    async () => {
      const folder = mkdtempSync(join(scratch, "in-"));
      await micro(["new", "shop", "--template", "pubsub"], { cwd: folder });
      const project = join(folder, "shop");
      installInto(project);
      await micro(["generate"], { cwd: project });
      const handler = join(project, "src/shop-service.ts");
      writeFileSync(handler, readFileSync(handler, "utf8").replace("onGreeted", "onGreated"));
      renameSync(join(project, "src/gen/shop"), join(project, "src/gen/old"));
      await micro(["generate"], { cwd: project });
      const { stdout, code } = await micro(["check", "--json"], { cwd: project });
      expect(code).toBe(1);
      const [generated, handlers] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(generated.problems).toContain("src/gen/old/v1/shop_micro.ts is left over");
      expect(handlers.problems).toContain("ShopServiceHandler lacks onGreeted");
    },
  );

  test("says why it does not compare, and fails if a comparison was requested", async () => {
    const project = await newProject();
    const check = (...words: string[]) =>
      micro(["check", "--skip", "generated,handlers", ...words], { cwd: project, env: { CI: "" } });
    const nothing = (why: string) => ({
      code: 0,
      stdout: `- generated code left out\n- handlers left out\n- schema is not compared: ${why}\n`,
      stderr: "",
    });
    const outside = "not a git repository (or any of the parent directories): .git";
    expect(await check()).toEqual(nothing(outside));
    expect(await check("--against", "v1")).toMatchObject({
      code: 2,
      stderr: `error: git has no v1 to compare with: ${outside}\n`,
    });
    const around = join(project, "..");
    git(around, "init", "-q", "-b", "main", ".");
    expect(await check()).toEqual(nothing("the git repository has no commit yet"));
    // The outer repository does not contain the project.
    writeFileSync(join(around, "README"), "");
    git(around, "add", "README");
    git(around, "commit", "-qm", "start");
    expect(await check()).toEqual(nothing("it is not in main yet"));
    mkdirSync(join(project, "docs"));
    writeFileSync(join(project, "docs/plan"), "");
    git(around, "add", "shop/docs");
    git(around, "commit", "-qm", "plan");
    expect(await check()).toEqual(nothing("it is not in main yet"));
    git(around, "branch", "-m", "trunk");
    expect(await check()).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("git has none of origin/main, main, origin/master, master"),
    });
    expect((await check("--against", "trunk")).code).toBe(0);
    expect((await check("--against", "v1")).stderr).toMatch(/no v1 to compare with: `git fetch/);
  });

  testInCi(
    "fails in CI for a schema that cannot be compared, unless that check is skipped",
    async () => {
      const project = await newProject();
      const check = (cwd: string, ...words: string[]) =>
        micro(["check", ...words], { cwd, env: { CI: "true" } });
      expect(await check(project)).toEqual({
        code: 1,
        stdout: `${good}✗ schema\n    cannot be compared: not a git repository (or any of the parent directories): .git\n  \`--skip schema\` skips this check\n`,
        stderr: "",
      });
      expect(await check(project, "--skip", "schema")).toEqual({
        code: 0,
        stdout: `${good}- schema left out\n`,
        stderr: "",
      });
      commit(project);
      git(project, "checkout", "-qb", "change");
      git(project, "commit", "-q", "--allow-empty", "-m", "change");
      const clone = join(project, "..", "clone");
      git(project, "clone", "-q", "--depth", "1", "-b", "change", `file://${project}`, clone);
      installInto(clone);
      const { stdout, code } = await check(clone);
      expect(stdout).toMatch(
        /✗ schema\n {4}cannot be compared: the clone is shallow .*fetch-depth: 0/,
      );
      expect(code).toBe(1);
      git(clone, "fetch", "-q", "origin", "main:refs/remotes/origin/main");
      expect((await check(clone)).stdout).toBe(`${good}✓ schema is compatible with origin/main\n`);
    },
  );

  testInCi("skips checks, and lists the known ones", async () => {
    const project = await newProject();
    edit(project, "}\n\nmessage", "  rpc Bye(HelloRequest) returns (HelloResponse);\n}\n\nmessage");
    await micro(["generate"], { cwd: project });
    const check = (...words: string[]) =>
      micro(["check", ...words], { cwd: project, env: { CI: "" } });
    expect((await check()).code).toBe(1);
    const { stdout, code } = await check("--skip", "handlers", "--skip", "generated,schema");
    expect(stdout).toBe("- generated code left out\n- handlers left out\n- schema left out\n");
    expect(code).toBe(0);
    expect((await check("--skip", "handlrs")).stderr).toMatch(/did you mean handlers\?/);
    expect((await check("--skip", "tests")).stderr).toMatch(
      /there are: generated, handlers, schema/,
    );
  });

  testInCi(
    "checks a service of a workspace with the schema package that it depends on",
    async () => {
      const root = mkdtempSync(join(scratch, "shared-"));
      const schema = join(root, "packages/shop");
      mkdirSync(join(root, "packages"));
      await newProject(join(root, "packages"));
      const file = (path: string, content: string | object) => {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(
          join(root, path),
          typeof content === "string" ? content : JSON.stringify(content),
        );
      };
      file("package.json", { name: "all", private: true });
      file("pnpm-workspace.yaml", "packages: ['packages/*', 'services/*']\n");
      file("services/till/package.json", {
        name: "till",
        type: "module",
        dependencies: { shop: "workspace:*" },
      });
      const handler = (text: string) =>
        file(
          "services/till/src/till.ts",
          `import type { ShopServiceHandler } from "shop/src/gen/shop/v1/shop_micro.js";\nexport const till: ShopServiceHandler = { ${text} };\n`,
        );
      handler("hello: () => ({})");
      rmSync(join(schema, "src/shop-service.ts"));
      rmSync(join(schema, "src/main.ts"));
      rmSync(join(schema, "test"), { recursive: true });
      const check = (folder: string) =>
        micro(["check"], { cwd: join(root, folder), env: { CI: "" } });
      for (const folder of ["", "packages/shop", "services/till"]) {
        const { stdout, code } = await check(folder);
        expect(stdout, folder).toContain(good);
        expect(code).toBe(0);
      }
      handler("");
      edit(
        schema,
        "}\n\nmessage",
        "  rpc Bye(HelloRequest) returns (HelloResponse);\n}\n\nmessage",
      );
      const { stdout, code } = await check("services/till");
      expect(stdout).toContain("../../packages/shop/src/gen/shop/v1/shop_micro.ts is out of date");
      expect(stdout).toContain("ShopServiceHandler lacks hello");
      expect(code).toBe(1);
      expect(await micro(["generate"], { cwd: join(root, "services/till") })).toMatchObject({
        code: 0,
        stdout: "generated in ../../packages/shop/src/gen\n",
      });
      expect((await check("services/till")).stdout).toContain(
        "ShopServiceHandler lacks hello, bye",
      );
    },
  );

  // Twelve commands, each of which another test covers in a folder without a workspace around it.
  test.runIf(long)(
    "finds packages in a workspace's parent folder, as do the packages that use them",
    async () => {
      const root = mkdtempSync(join(scratch, "workspace-"));
      writeFileSync(
        join(root, "package.json"),
        JSON.stringify({ name: "all", private: true, workspaces: ["services/*"] }),
      );
      mkdirSync(join(root, "services"));
      installInto(root);
      const cwd = join(root, "services");
      await micro(["new", "shop"], { cwd });
      const project = join(cwd, "shop");
      const inProject = (...words: string[]) => micro(words, { cwd: project });
      expect(await inProject("generate")).toMatchObject({
        code: 0,
        stdout: "generated in src/gen\n",
      });
      expect(await inProject("lint")).toMatchObject({ code: 0, stderr: "no findings\n" });
      commit(root);
      expect(await inProject("check")).toMatchObject({
        code: 0,
        stdout: `${good}✓ schema is compatible with main\n`,
      });
      expect(await inProject("breaking")).toMatchObject({
        code: 0,
        stdout: "the schema is compatible with main\n",
      });
      edit(project, "string message = 1;", "int32 message = 1;");
      expect((await inProject("breaking")).stdout).toMatch(
        /^proto\/shop\/v1\/shop\.proto:\d+:\d+:Field "1"/,
      );
      edit(project, "int32 message = 1;", "int32 message = 1");
      expect((await inProject("generate")).stderr).toMatch(
        /buf generate fails in .*\/shop:\n {2}proto\/shop\/v1\/shop\.proto:\d+:\d+:/,
      );
      rmSync(join(root, "node_modules/@micro-es/runtime/proto"), { recursive: true });
      expect((await inProject("generate")).stderr).toMatch(
        /buf\.yaml names node_modules\/@micro-es\/runtime\/proto, which is neither in .* nor above it; run `npm install`/,
      );
    },
  );
});

describe("micro generate", () => {
  test("removes the output of a .proto that was renamed or deleted, and nothing else", async () => {
    const project = await newProject();
    const at = (path: string) => join(project, path);
    const generate = () => micro(["generate"], { cwd: project });
    mkdirSync(at("proto/shop/v1/old"), { recursive: true });
    writeFileSync(
      at("proto/shop/v1/old/till.proto"),
      `syntax = "proto3";\npackage shop.v1.old;\nservice Till { rpc Open(OpenRequest) returns (OpenRequest); }\nmessage OpenRequest {}\n`,
    );
    expect((await generate()).code).toBe(0);
    const till = ["till_codec.ts", "till_micro.ts", "till_pb.ts"].map(
      (name) => `src/gen/shop/v1/old/${name}`,
    );
    expect(till.map((path) => existsSync(at(path)))).toEqual([true, true, true]);
    // Hand-written, from another generator, from another template, and copied to another name.
    const kept = {
      "src/gen/shop/v1/notes.ts": "// notes on what is @generated by protoc-gen-micro\n",
      "src/gen/graphql_pb.ts": "// @generated by graphql-codegen\n",
      "src/gen/other/v1/other_pb.ts":
        "// @generated by protoc-gen-es v2\n// @generated from file other/v1/other.proto (package other.v1)\n",
      "src/gen/copy_micro.ts": readFileSync(at("src/gen/shop/v1/old/till_micro.ts"), "utf8"),
    };
    mkdirSync(at("src/gen/other/v1"), { recursive: true });
    mkdirSync(at("more/other/v1"), { recursive: true });
    writeFileSync(at("more/other/v1/other.proto"), "");
    for (const [path, text] of Object.entries(kept)) writeFileSync(at(path), text);
    rmSync(at("proto/shop/v1/old"), { recursive: true });
    expect((await micro(["check", "--skip", "handlers,schema"], { cwd: project })).code).toBe(1);
    expect(await generate()).toEqual({
      code: 0,
      stdout: `generated in src/gen\n${till.map((path) => `removed ${path}, whose .proto no longer exists\n`).join("")}`,
      stderr: "",
    });
    expect(existsSync(at("src/gen/shop/v1/old"))).toBe(false);
    for (const path of Object.keys(kept)) expect(existsSync(at(path)), path).toBe(true);
    expect(existsSync(at("src/gen/shop/v1/shop_micro.ts"))).toBe(true);
    expect((await generate()).stdout).toBe("generated in src/gen\n");
  });
});

test.each(["check", "lint", "generate", "breaking", "scaffold"])(
  "micro %s reports a missing folder",
  async (command) => {
    expect(await micro([command, "nowhere"], { cwd: scratch })).toEqual({
      code: 2,
      stdout: "",
      stderr: `error: there is no folder ${join(scratch, "nowhere")}\n`,
    });
  },
);

describe("micro lint", () => {
  test("finds nothing in the proto of docs/getting-started.md, those of the examples, and their topics", async () => {
    const project = await newProject();
    const add = (path: string, text: string) => {
      mkdirSync(dirname(join(project, "proto", path)), { recursive: true });
      writeFileSync(join(project, "proto", path), text);
    };
    const repository = join(import.meta.dirname, "../..");
    const page = readFileSync(join(repository, "docs/getting-started.md"), "utf8");
    const [, path = "", text = ""] =
      /^`proto\/(\S+\.proto)`\n\n```proto\n(.*?)^```/ms.exec(page) ?? [];
    add(path, text);
    for (const name of ["chat", "greeter", "shop"]) {
      const file = `${name}/v1/${name}.proto`;
      add(
        file.replace(/^shop/, "examples/shop"),
        readFileSync(join(repository, "examples", name, "proto", file), "utf8").replace(
          "package shop.v1",
          "package examples.shop.v1",
        ),
      );
    }
    await micro(["new", "order-book", "--template", "pubsub"], { cwd: scratch });
    const events = "order_book/v1/order_book.proto";
    add(events, readFileSync(join(scratch, "order-book/proto", events), "utf8"));
    const rules = join(project, "buf.yaml");
    const strict =
      "lint:\n  use: [STANDARD, MICRO, MICRO_TOPIC_NAME_DOTTED, MICRO_TOPIC_HAS_KEY]\n";
    writeFileSync(rules, readFileSync(rules, "utf8").replace(/^lint:\n/m, strict));
    expect(await micro(["lint"], { cwd: project })).toEqual({
      code: 0,
      stdout: "",
      stderr: "no findings\n",
    });
  });

  test("reports the findings of buf and its plugin, with their positions", async () => {
    const project = await newProject();
    edit(project, "rpc Hello(", "rpc hello(");
    const { stdout, code } = await micro(["lint"], { cwd: project });
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^proto\/shop\/v1\/shop\.proto:\d+:\d+:RPC name "hello" should be PascalCase/,
    );
  });
});
