import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commands } from "../../cli/src/commands.ts";
import { ownFleet } from "../support/process.ts";
import { type CommandRun, commandRuns, mistakes } from "./command-table.ts";
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
  WEB_PORT: String(40_000 + (process.pid % 20_000)),
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
      expect(log).toMatch(/the service has stopped[\s\S]* has stopped/);
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

  test.each(["pubsub", "fullstack"])("installs, tests and runs a %s", async (kind) => {
    const project = join(scratch, `my-${kind}`);
    const micro = join(scratch, "shop/node_modules/.bin/micro");
    const made = await shell(
      `${micro} new my-${kind} --template ${kind} --packages micro-es/packages`,
      scratch,
    );
    expect(made, made.output).toMatchObject({ code: 0 });
    const tested = await shell("npm install && npm test && npm run lint && npm run build", project);
    expect(tested, tested.output).toMatchObject({ code: 0 });
    await using _ = await start(project);
    const called = await shell(`npx micro call my-${kind} Hello '{"name":"Ada"}'`, project);
    expect(called.output).toContain("Hello Ada");
    if (kind !== "fullstack") return;
    const page = await fetch(`http://localhost:${env.WEB_PORT}/`);
    expect(await page.text()).toContain("my-fullstack");
  });
});

describe("each command from the packages", { timeout: 300_000 }, () => {
  const project = join(scratch, "my-pubsub");
  const runs = commandRuns("my-pubsub");
  const taken = createServer();
  let service: AsyncDisposable | undefined;

  beforeAll(async () => {
    service = await start(project);
    await once(taken.listen(0, "127.0.0.1"), "listening");
  }, 120_000);
  afterAll(async () => {
    taken.close();
    await service?.[Symbol.asyncDispose]();
  });

  /** Runs a line as a shell does, and presses Ctrl-C when `until` is shown. */
  async function typed({ line, until }: CommandRun, terminal: boolean) {
    const { port } = taken.address() as AddressInfo;
    const [program, ...args] = terminal
      ? (["script", "-qefc", line, "/dev/null"] as const)
      : (["bash", "-c", line] as const);
    const child = spawn(program, args, {
      cwd: project,
      env: {
        ...env,
        PATH: `${join(project, "node_modules/.bin")}:${env.PATH}`,
        XDG_CONFIG_HOME: join(scratch, "config"),
        TMPDIR: scratch,
        TAKEN: `127.0.0.1:${port}`,
        NO_COLOR: "",
        FORCE_COLOR: "",
        TERM: "xterm",
      },
      stdio: "pipe",
      detached: true,
    });
    let shown = "";
    let pressed = until === undefined;
    const take = (data: Buffer) => {
      shown += data;
      if (pressed || until?.test(plain(shown)) !== true) return;
      pressed = true;
      if (terminal) child.stdin.write("\u0003");
      else process.kill(-(child.pid ?? 0), "SIGINT");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const [code] = (await once(child, "close")) as [number];
    return { code, shown };
  }

  test("is in the table", () => {
    const rows = new Set(runs.map(({ command }) => command));
    expect(commands.map(({ name }) => name).filter((name) => !rows.has(name))).toEqual([]);
  });

  test.each(runs)("piped: $line", async (row) => {
    const { code, shown } = await typed(row, false);
    expect(shown).toMatch(row.shows);
    expect(plain(shown)).toBe(shown);
    expect(row.until === undefined ? [row.code ?? 0] : [0, 130], shown).toContain(code);
  });

  test.each(mistakes("my-pubsub"))("wrong: $line", async (row) => {
    const { code, shown } = await typed(row, false);
    expect(shown).toMatch(row.shows);
    expect(row.until === undefined ? [row.code ?? 0] : [0, 130], shown).toContain(code);
  });

  test.each(runs)("on a terminal: $line", async (row) => {
    const { code, shown } = await typed(row, true);
    expect(plain(shown)).toMatch(row.shows);
    expect(row.until === undefined ? [row.code ?? 0] : [0, 130], shown).toContain(code);
  });
});

/** What a terminal shows, without how. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is taken out
  return text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
}
