import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { micro } from "./support/micro.ts";
import { installInto } from "./support/workspace.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-check-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A new project as `npm install` and `npm run generate` leave it, in a folder of its own. */
async function newProject(folder = mkdtempSync(join(scratch, "in-"))): Promise<string> {
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
  test("says what a change of the schema asks for, until it is done", async () => {
    const project = await newProject();
    commit(project);
    const check = () => micro(["check"], { cwd: project });
    expect(await check()).toEqual({
      code: 0,
      stdout: `${good}✓ schema breaks nobody who uses main's\n`,
      stderr: "",
    });
    edit(
      project,
      "service ShopService {",
      "service ShopService {\n  rpc Bye(HelloRequest) returns (HelloResponse);\n",
    );
    const stale = await check();
    expect(stale.code).toBe(1);
    expect(stale.stdout).toMatch(
      /^✗ generated code\n {4}src\/gen\/shop\/v1\/shop_micro\.ts is out of date\n[\s\S]* {2}run `npx micro generate` and commit/,
    );
    await micro(["generate"], { cwd: project });
    const lacking = await check();
    expect(lacking.code).toBe(1);
    expect(lacking.stdout).toMatch(
      /✗ handlers\n {4}ShopServiceHandler lacks bye\n {2}`npx micro scaffold` writes/,
    );
    await micro(["scaffold"], { cwd: project });
    expect((await check()).code).toBe(0);
    edit(project, "string message = 1;", "int32 message = 1;");
    await micro(["generate"], { cwd: project });
    const broken = await check();
    expect(broken.code).toBe(1);
    expect(broken.stdout).toMatch(
      /✗ schema\n {4}proto\/shop\/v1\/shop\.proto:\d+:\d+:Field "1" .* changed type[^\n]*\n {2}add fields/,
    );
  });

  test("fails for a subscriber that nobody wrote, and for generated code of a schema that is gone", async () => {
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
  });

  test("says why it compares with nothing, and fails where that was asked for", async () => {
    const project = await newProject();
    const check = (...words: string[]) => micro(["check", ...words], { cwd: project });
    const nothing = (why: string) => ({
      code: 0,
      stdout: `${good}- schema is compared with nothing: ${why}\n`,
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
    // The repository around it knows nothing of the project.
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

  test("finds packages that a workspace keeps in the folder above, and what uses them does", async () => {
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
    expect(await inProject("lint")).toMatchObject({ code: 0, stderr: "nothing is found\n" });
    commit(root);
    expect(await inProject("check")).toMatchObject({
      code: 0,
      stdout: `${good}✓ schema breaks nobody who uses main's\n`,
    });
    expect(await inProject("breaking")).toMatchObject({
      code: 0,
      stdout: "nothing breaks those who use main's\n",
    });
    edit(project, "string message = 1;", "int32 message = 1;");
    expect((await inProject("breaking")).stdout).toMatch(
      /^proto\/shop\/v1\/shop\.proto:\d+:\d+:Field "1"/,
    );
    edit(project, "int32 message = 1;", "int32 message = 1");
    expect((await inProject("generate")).stderr).toMatch(
      /buf generate fails in .*\/shop:\nproto\/shop\/v1\/shop\.proto:\d+:\d+:/,
    );
    rmSync(join(root, "node_modules/@micro-es/runtime/proto"), { recursive: true });
    expect((await inProject("generate")).stderr).toMatch(
      /buf\.yaml names node_modules\/@micro-es\/runtime\/proto, which is neither in .* nor above it; `npm install`/,
    );
  });
});

test.each(["check", "lint", "generate", "breaking", "scaffold"])(
  "micro %s says that there is no such folder",
  async (command) => {
    expect(await micro([command, "nowhere"], { cwd: scratch })).toEqual({
      code: 2,
      stdout: "",
      stderr: `error: there is no folder ${join(scratch, "nowhere")}\n`,
    });
  },
);

describe("micro lint", () => {
  test("tells what buf and its plugin find, with the place", async () => {
    const project = await newProject();
    edit(project, "rpc Hello(", "rpc hello(");
    const { stdout, code } = await micro(["lint"], { cwd: project });
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^proto\/shop\/v1\/shop\.proto:\d+:\d+:RPC name "hello" should be PascalCase/,
    );
  });
});
