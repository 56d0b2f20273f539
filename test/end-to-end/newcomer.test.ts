import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownFleet } from "../support/process.ts";
import { readmeCommands } from "./readme-steps.ts";

// From nothing to a service that was changed and called, with the packed packages and in the README's words.

const repository = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "micro-newcomer-"));
const run = promisify(execFile);
const env: NodeJS.ProcessEnv = {
  ...process.env,
  ...ownFleet(),
  // The line that says that a service listens is one of these.
  MICRO_LOG_LEVEL: "info",
  npm_config_fund: "false",
  npm_config_audit: "false",
  npm_config_prefer_offline: "true",
};
// The test is itself run by npm, whose settings must not leak into the newcomer's commands.
for (const name of Object.keys(env)) {
  if (/^npm_(package|lifecycle|config_local_prefix)/.test(name)) delete env[name];
}

beforeAll(async () => {
  mkdirSync(join(scratch, "micro-es/packages"), { recursive: true });
  const all = ["protoc-gen-micro", "@micro-es/runtime", "@micro-es/cli"];
  const workspaces = all.flatMap((name) => ["-w", name]);
  await run(
    "npm",
    ["pack", ...workspaces, "--pack-destination", join(scratch, "micro-es/packages")],
    { cwd: repository },
  );
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function shell(line: string, cwd: string): Promise<{ code: number; output: string }> {
  try {
    const { stdout, stderr } = await run("bash", ["-c", line], { cwd, env, timeout: 300_000 });
    return { code: 0, output: stdout + stderr };
  } catch (reason) {
    const { code, stdout, stderr } = reason as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

/** Runs `npx micro run` in a terminal of its own, until the service listens. */
async function start(cwd: string): Promise<AsyncDisposable> {
  const child = spawn("npx", ["micro", "run"], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const ended = once(child, "exit");
  let log = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      if (log.includes("the server listens")) resolve();
    });
    void ended.then(() => reject(new Error(`micro run ended: ${log}`)));
  });
  return {
    async [Symbol.asyncDispose]() {
      // As Ctrl-C does: to npx, which passes it on, and to micro.
      process.kill(-(child.pid ?? 0), "SIGINT");
      await ended;
      expect(log).toMatch(/the service has stopped[\s\S]*shop has stopped/);
      expect(log).not.toContain("told again");
    },
  };
}

// Each installs a project as npm does, more than once.
describe("a newcomer with micro", { timeout: 900_000 }, () => {
  test("starts a project, changes its schema, scaffolds, calls, and is stopped from breaking it", async () => {
    const readme = readFileSync(join(repository, "README.md"), "utf8");
    const [make = "", call = "", look = "", change = ""] = readmeCommands(
      readme,
      "A project in one command",
    );
    const made = await shell(make, join(scratch, "micro-es"));
    expect(made, made.output).toMatchObject({ code: 0 });
    const shop = join(scratch, "shop");
    const tested = await shell("npm test", shop);
    expect(tested, tested.output).toMatchObject({ code: 0 });
    {
      await using _ = await start(shop);
      const called = await shell(call, shop);
      expect(called.output).toContain("Hello Ada");
      const looked = await shell(look, shop);
      expect(looked.output).toMatch(/shop\.v1\.ShopService\/Hello +1 +0 +0 +\d/);
      expect(looked.output).toMatch(/info +the server listens service=shop/);
    }
    await shell(
      "git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b commit -qm start",
      shop,
    );
    const proto = join(shop, "proto/shop/v1/shop.proto");
    const schema = readFileSync(proto, "utf8");
    const grown = schema.replace(
      "service ShopService {",
      "service ShopService {\n  rpc Bye(HelloRequest) returns (HelloResponse);\n",
    );
    writeFileSync(proto, grown);
    expect((await shell("npx micro check", shop)).code).toBe(1);
    const scaffolded = await shell(change, shop);
    expect(scaffolded.output).toContain("src/shop-service.ts: adds bye");
    const handler = join(shop, "src/shop-service.ts");
    const stub = readFileSync(handler, "utf8");
    writeFileSync(
      handler,
      stub.replace(
        /throw new MicroError\("unimplemented".*/,
        `return { message: \`Bye \${request.name}\` };`,
      ),
    );
    {
      await using _ = await start(shop);
      const called = await shell(`npx micro call shop Bye '{"name":"Ada"}'`, shop);
      expect(called.output).toContain("Bye Ada");
    }
    const good = await shell("npx micro check", shop);
    expect(good, good.output).toMatchObject({ code: 0 });
    writeFileSync(proto, grown.replace("string message = 1;", "int32 message = 1;"));
    const broken = await shell("npm run generate >/dev/null && npx micro check", shop);
    expect(broken.code).toBe(1);
    expect(broken.output).toMatch(/shop\.proto:\d+:\d+:Field "1" .*HelloResponse.* changed type/);
  });

  test.each(["pubsub", "fullstack"])("installs and tests a %s", async (kind) => {
    const packages = join(scratch, "micro-es/packages");
    const shop = join(scratch, "shop");
    const made = await shell(
      `npx micro new my-${kind} --template ${kind} --packages ${packages}`,
      shop,
    );
    expect(made, made.output).toMatchObject({ code: 0 });
    const tested = await shell(
      "npm install && npm test && npm run lint && npm run build",
      join(shop, `my-${kind}`),
    );
    expect(tested, tested.output).toMatchObject({ code: 0 });
  });
});
