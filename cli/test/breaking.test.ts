import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { ownFleet, type Program, startProgram } from "../../test/support/process.ts";
import { type MicroOptions, micro as run } from "./support/micro.ts";

const repository = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "micro-breaking-test-"));
const env: Record<string, string> = {
  ...ownFleet(),
  HOME: scratch,
  XDG_CONFIG_HOME: join(scratch, "config"),
};
const source = readFileSync(join(repository, "test/proto/micro/test/v1/echo.proto"), "utf8");
const programs: Program[] = [];

beforeAll(async () => {
  for (const [file, variables] of [
    ["described-echo", {}],
    ["echo-caller", { CALLER_NAME: "teller" }],
  ] as const) {
    const url = new URL(`support/${file}.ts`, import.meta.url);
    programs.push(startProgram(url, { ...env, ...variables }));
  }
  await Promise.all(programs.map((program) => program.told("ready")));
});

afterAll(async () => {
  for (const program of programs) await program[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** A project whose schema is echo's after a change. */
function project(change: (proto: string) => string = (proto) => proto): string {
  const folder = mkdtempSync(join(scratch, "in-"));
  mkdirSync(join(folder, "proto/micro/test/v1"), { recursive: true });
  cpSync(join(repository, "proto/micro/v1"), join(folder, "proto/micro/v1"), { recursive: true });
  writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
  writeFileSync(join(folder, "proto/micro/test/v1/echo.proto"), change(source));
  return folder;
}

const micro = (words: readonly string[], options: MicroOptions = {}) =>
  run(words, { ...options, env: { ...env, ...options.env } });
const live = (cwd: string, ...words: readonly string[]) =>
  micro(["breaking", "--live", ...words], { cwd });
const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

describe("micro breaking --live", () => {
  test("compares nothing if the digests are equal, whatever the comments", async () => {
    const same = project((proto) => proto.replace("// As Echo,", "// Like Echo,"));
    expect(await live(same)).toEqual({
      code: 0,
      stdout:
        "✓ echo.echoed, as subscribed to by echo, is the same\n✓ micro.test.v1.EchoService, as served by echo, is the same\n",
      stderr: "",
    });
  });

  test("accepts compatible changes", async () => {
    const grown = project((proto) =>
      proto.replace("string fail = 5;", "string fail = 5;\n  string more = 6;"),
    );
    const { stdout, stderr, code } = await live(grown);
    expect(stdout).toMatch(/✓ micro\.test\.v1\.EchoService, .* differs and breaks nothing/);
    expect(stderr).toBe(
      "programs that only call, with createClient, are in no registry and not listed\n",
    );
    expect(code).toBe(0);
  });

  test("names the callers and the subscribers that would break, with file and line", async () => {
    const changed = project((proto) =>
      proto
        .replace("int32 index = 3;", "string index = 3;")
        .replace("  rpc Once(EchoRequest) returns (EchoResponse);\n", "")
        .replace('name: "echo.echoed"', 'name: "echo.said"'),
    );
    const { stdout, code } = await live(changed);
    expect(code).toBe(3);
    const line = (text: string) =>
      readFileSync(join(changed, "proto/micro/test/v1/echo.proto"), "utf8")
        .split("\n")
        .findIndex((it) => it.includes(text)) + 1;
    const file = "proto/micro/test/v1/echo.proto";
    expect(stdout).toContain(`✗ micro.test.v1.EchoService, as served by echo\n`);
    expect(stdout).toContain(`    ${file}:${line("string index")}:3: Field "3"`);
    expect(stdout).toMatch(/"Once" .*deleted.* \(RPC_NO_DELETE\)/);
    expect(stdout).toContain("  callers that break: teller\n");
    expect(stdout).toContain("✗ echo.echoed, as subscribed to by echo\n");
    expect(stdout).toContain(`    ${file}:${line("echo.said")}:`);
    expect(stdout).toContain("(MICRO_TOPIC_SAME_NAME)\n  subscribers that break: echo\n");
  });

  testInCi("reports it as JSON, for the requested rules", async () => {
    const changed = project((proto) =>
      proto.replace("  rpc Once(EchoRequest) returns (EchoResponse);\n", ""),
    );
    const all = await live(changed, "--json", "--service", "echo");
    expect(json(all.stdout)).toContainEqual({
      kind: "service",
      name: "micro.test.v1.EchoService",
      digest: expect.stringMatching(/^[0-9a-f]{16}$/),
      state: "breaks",
      nodes: [expect.stringMatching(/^echo-/)],
      changes: [
        expect.objectContaining({
          rule: "RPC_NO_DELETE",
          file: "proto/micro/test/v1/echo.proto",
          line: expect.any(Number),
        }),
      ],
      consumers: [{ name: "teller", node: expect.stringMatching(/^teller-/), certain: true }],
    });
    expect(all.code).toBe(3);
    expect((await live(changed, "--except", "RPC_NO_DELETE")).code).toBe(0);
    expect((await live(changed, "--service", "teller")).stderr).toBe(
      "no service of this schema runs\n",
    );
  });

  test("reads the schema from a descriptor set, and refuses other files", async () => {
    const image = join(scratch, "echo.binpb");
    execFileSync("buf", ["build", "-o", image], { cwd: project() });
    const { stdout, code } = await live(scratch, "--schema", image);
    expect(stdout).toContain("is the same");
    expect(code).toBe(0);
    expect((await live(scratch, "--schema", "nowhere")).stderr).toMatch(/there is no .*nowhere/);
    expect((await live(scratch, "--against", "main")).stderr).toMatch(/exclude each other/);
  });

  test("reports schemas that cannot be compared, because no service describes them", async () => {
    const silent = { ...env, MICRO_MDNS_PORT: String(Number(env.MICRO_MDNS_PORT) + 20_000) };
    const server = startProgram(new URL("support/silent-echo.ts", import.meta.url), silent);
    try {
      await server.told("ready");
      const changed = project((proto) => proto.replace("int32 index = 3;", "string index = 3;"));
      const { stdout, code } = await micro(["breaking", "--live"], { cwd: changed, env: silent });
      expect(stdout).toMatch(
        /\? micro\.test\.v1\.EchoService, .* cannot be compared: .*registerGrpcReflection/,
      );
      expect(code).toBe(4);
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });
});

describe("micro breaking", () => {
  test("compares with git", async () => {
    const folder = project();
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: folder });
    git("init", "-q", "-b", "main", ".");
    git("add", "-A");
    git("commit", "-qm", "start");
    expect((await micro(["breaking"], { cwd: folder })).code).toBe(0);
    const file = join(folder, "proto/micro/test/v1/echo.proto");
    writeFileSync(file, source.replace("int32 index = 3;", "string index = 3;"));
    const { stdout, code } = await micro(["breaking", "--against", "main"], { cwd: folder });
    expect(stdout).toMatch(/^proto\/micro\/test\/v1\/echo\.proto:\d+:\d+:Field "3"/);
    expect(code).toBe(3);
    expect((await micro(["breaking", "--use", "FILE"], { cwd: folder })).stderr).toMatch(
      /--use needs --live/,
    );
  });
});
