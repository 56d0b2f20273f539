import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ReadmeStep, readmeSteps } from "./readme-steps.ts";

const repository = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "micro-es-packages-"));
const packages = join(scratch, "micro-es/packages");
const bin = (name: string) => join(repository, "node_modules/.bin", name);
const run = promisify(execFile);

beforeAll(async () => {
  mkdirSync(packages, { recursive: true });
  await run(
    "npm",
    ["pack", "-w", "protoc-gen-micro", "-w", "@micro-es/runtime", "--pack-destination", packages],
    { cwd: repository },
  );
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const tarballs = () => readdirSync(packages).map((file) => join(packages, file));

describe("the packed packages", () => {
  test("hold what publint asks for", async () => {
    for (const tarball of tarballs()) {
      const { stdout } = await run(bin("publint"), ["run", "--strict", tarball]);
      expect(stdout).toMatch(/All good/);
    }
  });

  test("have types that resolve wherever ESM does", async () => {
    const runtime = tarballs().filter((file) => file.includes("runtime"));
    expect(runtime).toHaveLength(1);
    for (const tarball of runtime) await run(bin("attw"), [tarball, "--profile", "esm-only"]);
  });

  test("contain no tests and no build leftovers", async () => {
    for (const tarball of tarballs()) {
      const { stdout } = await run("tar", ["tzf", tarball]);
      expect(stdout.split("\n").filter((file) => /\.test\.|tsbuildinfo/.test(file))).toEqual([]);
    }
  });
});

describe("the README's five steps, word by word in an empty folder", () => {
  const steps: readonly ReadmeStep[] = readmeSteps(
    readFileSync(join(repository, "README.md"), "utf8"),
  );
  const folder = join(scratch, "hello");
  const env = {
    ...process.env,
    npm_config_fund: "false",
    npm_config_audit: "false",
    npm_config_prefer_offline: "true",
    MICRO_MDNS_INTERFACE: "127.0.0.1",
    MICRO_MDNS_PORT: String(21_000 + (process.pid % 20_000)),
  };
  // The test is itself run by npm, whose settings must not leak into the newcomer's commands.
  for (const name of Object.keys(env)) {
    if (/^npm_(package|lifecycle|config_local_prefix)/.test(name))
      delete (env as NodeJS.ProcessEnv)[name];
  }

  test("are five, and end with a call that is answered", async () => {
    expect(steps.map((step) => step.number)).toEqual([1, 2, 3, 4, 5]);
    const background = new Set<ReturnType<typeof spawn>>();
    try {
      let lastOutput = "";
      mkdirSync(folder);
      for (const step of steps) {
        for (const part of step.parts) {
          if (part.kind === "file") {
            mkdirSync(dirname(join(folder, part.path)), { recursive: true });
            writeFileSync(join(folder, part.path), part.text);
          } else if (part.stays) {
            const child = spawn("bash", ["-c", `exec ${part.command}`], {
              cwd: folder,
              env,
              stdio: "inherit",
            });
            background.add(child);
          } else {
            const { stdout } = await run("bash", ["-euc", part.command], {
              cwd: folder,
              env,
              timeout: 150_000,
            });
            lastOutput = stdout;
          }
        }
      }
      expect(lastOutput).toMatch(/Hello Ada/);
    } finally {
      for (const child of background) {
        child.kill("SIGTERM");
        const [code] = await once(child, "exit");
        expect(code).toBe(0);
      }
    }
  });

  test("type-check under the strictest flags", async () => {
    const flags = [
      "--strict",
      "--exactOptionalPropertyTypes",
      "--noUncheckedIndexedAccess",
      "--verbatimModuleSyntax",
      "--isolatedModules",
      "--erasableSyntaxOnly",
    ];
    const files = readdirSync(folder).filter((file) => file.endsWith(".ts"));
    expect(files).toEqual(["client.ts", "server.ts"]);
    await run(
      join(folder, "node_modules/.bin/tsc"),
      [
        ...flags,
        "--noEmit",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--types",
        "node",
        ...files,
      ],
      { cwd: folder },
    );
  });
});
