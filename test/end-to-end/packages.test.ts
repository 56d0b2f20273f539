import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
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
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, generate, protocGenEs } from "../../protoc-gen-micro/test/support/compile.ts";
import { inCi, testInCi } from "../support/long.ts";
import { copyPackages } from "./packed-packages.ts";
import { type ReadmeStep, readmeSteps } from "./readme-steps.ts";

const repository = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "micro-es-packages-"));
const packages = join(scratch, "micro-es/packages");
const bin = (name: string) => join(repository, "node_modules/.bin", name);
const run = promisify(execFile);
const libraries = [
  "@micro-es/runtime",
  "@micro-es/nats",
  "@micro-es/etcd",
  "@micro-es/consul",
  "@micro-es/dns",
  "@micro-es/zookeeper",
  "@micro-es/rabbitmq",
  "@micro-es/nsq",
  "@micro-es/redis",
  "@micro-es/postgres",
  "@micro-es/kafka",
  "@micro-es/pubsub",
  "@micro-es/contract",
];

beforeAll(async () => copyPackages(packages, ["protoc-gen-micro", ...libraries]));

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const tarballs = () => readdirSync(packages).map((file) => join(packages, file));

describe("the packed packages", () => {
  test("pass publint", async () => {
    for (const tarball of tarballs()) {
      const { stdout } = await run(bin("publint"), ["run", "--strict", tarball]);
      expect(stdout).toMatch(/All good/);
    }
  });

  testInCi("have types that resolve in every ESM setting", async () => {
    const packed = tarballs().filter((file) => !file.includes("protoc-gen-micro"));
    expect(packed).toHaveLength(libraries.length);
    for (const tarball of packed) await run(bin("attw"), [tarball, "--profile", "esm-only"]);
  });

  test("contain no tests and no build leftovers", async () => {
    for (const tarball of tarballs()) {
      const { stdout } = await run("tar", ["tzf", tarball]);
      expect(stdout.split("\n").filter((file) => /\.test\.|tsbuildinfo/.test(file))).toEqual([]);
    }
  });
});

test("the etcd driver is built against the packed runtime alone", async () => {
  const folder = join(scratch, "driver");
  const runtime = join(folder, "node_modules/@micro-es/runtime");
  mkdirSync(runtime, { recursive: true });
  const tarball = tarballs().find((file) => file.includes("runtime")) ?? "";
  await run("tar", ["-xzf", tarball, "-C", runtime, "--strip-components=1"]);
  for (const name of ["@bufbuild", "@types", "undici-types"]) {
    symlinkSync(join(repository, "node_modules", name), join(folder, "node_modules", name));
  }
  cpSync(join(repository, "drivers/etcd/src"), join(folder, "src"), { recursive: true });
  cpSync(join(repository, "drivers/etcd/package.json"), join(folder, "package.json"));
  const { compilerOptions } = JSON.parse(
    readFileSync(join(repository, "tsconfig.base.json"), "utf8"),
  );
  const own = { rootDir: "src", outDir: "dist", declaration: true, isolatedDeclarations: true };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { ...compilerOptions, ...own }, include: ["src"] }),
  );
  await run(bin("tsc"), ["-p", folder]);
  const program = `
    import { etcdRegistry } from "./dist/index.js";
    const registry = etcdRegistry({ endpoints: "127.0.0.1:1", startTimeoutMs: 0 });
    await registry.get("absent").catch(({ code }) => console.log(code));
    await registry.close();`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: folder,
  });
  expect(stdout.trim()).toBe("unavailable");
});

test("a service that listens has loaded the runtime alone, and HTTP with the first request", async () => {
  const folder = join(scratch, "start");
  const runtime = join(folder, "node_modules/@micro-es/runtime");
  mkdirSync(runtime, { recursive: true });
  const tarball = tarballs().find((file) => file.includes("runtime")) ?? "";
  await run("tar", ["-xzf", tarball, "-C", runtime, "--strip-components=1"]);
  symlinkSync(join(repository, "node_modules/@bufbuild"), join(folder, "node_modules/@bufbuild"));
  const program = join(folder, "loaded-modules.js");
  copyFileSync(join(import.meta.dirname, "loaded-modules.js"), program);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const hello = compile({
    "hello.proto": `syntax = "proto3";
package hello;
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";
message Text { string text = 1; google.protobuf.Timestamp at = 2; }
service Hello { rpc Say(Text) returns (Text); rpc Wait(google.protobuf.Empty) returns (google.protobuf.Empty); }`,
  });
  const request = hello.request(["hello.proto"], "target=js,import_extension=js");
  mkdirSync(join(folder, "gen"));
  for (const [name, text] of [...generate(request, protocGenEs), ...generate(request)]) {
    writeFileSync(join(folder, "gen", name), text);
  }
  const { stdout } = await run(process.execPath, [program]);
  const [listening, called, answered] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { text?: string; packages: string[]; builtins: string[] });

  expect(listening?.packages).toEqual(["@micro-es/runtime"]);
  const later = ["dgram", "http", "http2", "https", "readline", "stream/web", "tls", "zlib"];
  expect(listening?.builtins.filter((name) => later.includes(name))).toEqual([]);
  expect(called?.packages).toEqual(["@micro-es/runtime"]);
  expect(answered?.text).toBe('{"text":"ok"}');
  expect(answered?.packages).toEqual(["@bufbuild/protobuf", "@micro-es/runtime"]);
  expect(answered?.builtins).toContain("http");
});

test("an error that nothing catches fits on a terminal", async () => {
  const folder = join(scratch, "uncaught");
  const runtime = join(folder, "node_modules/@micro-es/runtime");
  mkdirSync(runtime, { recursive: true });
  const tarball = tarballs().find((file) => file.includes("runtime")) ?? "";
  await run("tar", ["-xzf", tarball, "-C", runtime, "--strip-components=1"]);
  symlinkSync(join(repository, "node_modules/@bufbuild"), join(folder, "node_modules/@bufbuild"));
  const program = join(folder, "program.mjs");
  const text = `import { createService } from "@micro-es/runtime"; createService({ name: 5 });`;
  writeFileSync(program, text);
  const failed = await run(process.execPath, [program]).catch((reason: unknown) => reason);
  const { stderr } = failed as { readonly stderr: string };
  expect(stderr).toContain("createService: name must be a string");
  expect(Math.max(...stderr.split("\n").map(({ length }) => length))).toBeLessThan(400);
});

test("runtime and driver, installed from their tarballs, share one process-wide state", async () => {
  const folder = join(scratch, "one-program");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const needed = tarballs().filter((file) => /micro-es-(?:runtime|nats)-/.test(file));
  expect(needed).toHaveLength(2);
  const quiet = ["--no-fund", "--no-audit", "--prefer-offline"];
  await run("npm", ["i", ...quiet, ...needed], { cwd: folder, timeout: 150_000 });
  const main = join(folder, "main.js");
  writeFileSync(
    main,
    `import { createService, loadDrivers, MicroError } from "@micro-es/runtime";
     const service = createService({ name: "shop", drivers: await loadDrivers() });
     try {
       await service.start();
     } catch (error) {
       const ours = error instanceof MicroError && error.constructor === MicroError;
       console.log(JSON.stringify({ ours, code: error.code, broker: service.broker.name }));
     }`,
  );
  const env = {
    ...process.env,
    MICRO_BACKEND: "nats://ada:sec%72et@127.0.0.1:9",
    MICRO_START_TIMEOUT: "0s",
    MICRO_ADDRESS: "127.0.0.1:0",
  };
  // Started from another folder, so that the packages next to the main module count.
  const { stdout, stderr } = await run(process.execPath, [main], { cwd: scratch, env });
  expect(JSON.parse(stdout)).toEqual({ ours: true, code: "unavailable", broker: "jetstream" });
  expect(stderr).toContain("127.0.0.1:9");
  expect(stderr).not.toMatch(/secret|sec%72et/);
});

describe.runIf(inCi)("the five steps of docs/getting-started.md in an empty folder", () => {
  const steps: readonly ReadmeStep[] = readmeSteps(
    readFileSync(join(repository, "docs/getting-started.md"), "utf8"),
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

  test("are five, and end with a successful call", async () => {
    expect(steps.map((step) => step.number)).toEqual([1, 2, 3, 4, 5]);
    const background: (() => Promise<void>)[] = [];
    try {
      let lastOutput = "";
      mkdirSync(folder);
      for (const step of steps) {
        for (const part of step.parts) {
          if (part.kind === "file") {
            mkdirSync(dirname(join(folder, part.path)), { recursive: true });
            writeFileSync(join(folder, part.path), part.text);
          } else if (part.kind !== "command") {
            throw new Error("the five steps are files and commands");
          } else if (part.stays) {
            background.push(await startInBackground(part.command));
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
      for (const stop of background) await stop();
    }
  });

  /**
   * Types the command into a terminal of its own; resolves when the server says that it listens.
   */
  async function startInBackground(command: string): Promise<() => Promise<void>> {
    const child = spawn("bash", ["-c", command], {
      cwd: folder,
      env,
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    const ended = once(child, "exit");
    let log = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        log += text;
        if (log.includes("the server listens")) resolve();
      });
      void ended.then(() => reject(new Error(`${command} ended: ${log}`)));
    });
    return async () => {
      // Ctrl-C reaches every process of a terminal, npx and what it started.
      process.kill(-(child.pid ?? 0), "SIGINT");
      await ended;
    };
  }

  test("produce a project that can test its own implementation with the contract suites", async () => {
    await run("npm", ["i", ...tarballs().filter((file) => file.includes("contract"))], {
      cwd: folder,
      env,
    });
    const script = `
      import { memoryStore } from "@micro-es/runtime";
      import { storeContract } from "@micro-es/contract/store";
      for (const { name } of storeContract(() => memoryStore())) console.log(name);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: folder,
    });
    expect(stdout.trim().split("\n").length).toBeGreaterThan(5);
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
