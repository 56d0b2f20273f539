import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { commands } from "../../cli/src/commands.ts";
import { ownFleet } from "../support/process.ts";
import { type CommandRun, commandRuns, mistakes } from "./command-table.ts";
import { readmeParts } from "./readme-steps.ts";

// From nothing to a service that was changed and called, with the packed packages and in the README's words.

const repository = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "micro-newcomer-"));
const whereFile = join(scratch, "where");
const run = promisify(execFile);
const env: NodeJS.ProcessEnv = {
  ...process.env,
  ...ownFleet(),
  // The line that says that a service listens is one of these.
  MICRO_LOG_LEVEL: "info",
  WEB_PORT: String(40_000 + (process.pid % 20_000)),
  // Where a line of shell has gone to.
  WHERE: whereFile,
  GIT_AUTHOR_NAME: "Ada",
  GIT_AUTHOR_EMAIL: "ada@example.com",
  GIT_COMMITTER_NAME: "Ada",
  GIT_COMMITTER_EMAIL: "ada@example.com",
  npm_config_fund: "false",
  npm_config_audit: "false",
  npm_config_prefer_offline: "true",
};
// The test is itself run by npm, whose settings must not leak into the newcomer's commands.
for (const name of Object.keys(env)) {
  if (/^npm_(package|lifecycle|config_local_prefix|config_loglevel)/.test(name)) delete env[name];
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

/** What goes on in a terminal of its own until it is disposed of. */
interface Terminal extends AsyncDisposable {
  /** All that it has shown. */
  readonly log: string;
}

/** Runs `npx micro run` in a terminal of its own, until the service listens. */
async function start(cwd: string, line = "npx micro run"): Promise<Terminal> {
  const child = spawn("bash", ["-c", line], {
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
    get log() {
      return log;
    },
    async [Symbol.asyncDispose]() {
      // As Ctrl-C does: to npx, which passes it on, and to micro.
      process.kill(-(child.pid ?? 0), "SIGINT");
      await ended;
      expect(log).toMatch(/the service has stopped[\s\S]* has stopped/);
      expect(log).not.toContain("told again");
    },
  };
}

/** What each command of the README is to show. */
const shows: readonly (readonly [command: string, shown: RegExp])[] = [
  ["cd .. && npm exec", /shop is written, \d+ files/],
  ["cd shop && npm install", /added \d+ packages[\s\S]*pass 1\b/],
  ["git init", /^$/],
  ["npx micro run", /generated in \.[\s\S]*the server listens/],
  ["npx micro call shop Hello", /^\{"message":"Hello Ada"\}\n$/],
  [
    "npx micro stats",
    /shop\.v1\.ShopService\/Hello +1 +0 +0 +\d[\s\S]*info +the server listens service=shop/,
  ],
  ["npx micro scaffold", /^src\/shop-service\.ts: adds bye\n$/],
  ["npx micro call shop Bye", /^\{"message":"Bye Ada"\}\n$/],
  [
    "npx micro check",
    /✓ generated code .*\n✓ handlers .*\n✓ schema breaks nobody who uses main's\n$/,
  ],
  ["npx micro check", /✓ handlers .*\n✗ schema\n/],
];

// Each installs a project as npm does, more than once.
describe("a newcomer with micro", { timeout: 900_000 }, () => {
  test("starts a project, changes its schema, scaffolds, calls, and is stopped from breaking it, in the README's words", async () => {
    const readme = readFileSync(join(repository, "README.md"), "utf8");
    const parts = readmeParts(readme, "A project in one command");
    const expected = [...shows];
    let cwd = join(scratch, "micro-es");
    let shown = "";
    let running: Terminal | undefined;
    onTestFinished(async () => running?.[Symbol.asyncDispose]());
    for (const part of parts) {
      if (part.kind === "command") {
        const [begin, wanted] = expected.shift() ?? ["nothing more", /./];
        expect(part.command).toContain(begin);
        if (part.stays) {
          running = await start(cwd, part.command);
          shown = running.log;
        } else {
          // What a person reads between two commands, the program does meanwhile.
          const code = part.fails ? 1 : 0;
          await expect
            .poll(
              async () => {
                const ended = await shell(`${part.command} && pwd >"$WHERE"`, cwd);
                shown = ended.output;
                return ended;
              },
              { timeout: 120_000 },
            )
            .toEqual({ code, output: expect.stringMatching(wanted) });
          if (!part.fails) cwd = readFileSync(whereFile, "utf8").trim();
        }
        expect(shown).toMatch(wanted);
      } else if (part.kind === "edit") {
        const file = join(cwd, part.path);
        const text = readFileSync(file, "utf8");
        expect(text.split(part.before)).toHaveLength(2);
        writeFileSync(
          file,
          text.replace(part.before, () => part.after),
        );
      } else if (part.kind === "shown") {
        expect(shown).toContain(part.text);
      }
    }
    expect(expected).toEqual([]);
    expect(running?.log).toMatch(/restarts shop: proto\/shop\/v1\/shop\.proto changed/);
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

  // A script for a shell is no JSON.
  const asJson = runs.filter(
    ({ command, until }) => command !== "completion" && until === undefined,
  );

  test.each(asJson)("as JSON, a value a line: $line", async (row) => {
    const line = row.line.replaceAll(/\bmicro (?=[a-z])/g, "micro --json ");
    const { code, shown } = await typed({ ...row, line }, false);
    expect(code, shown).toBe(row.code ?? 0);
    for (const text of shown
      .trim()
      .split("\n")
      .filter((it) => it !== "")) {
      expect(() => JSON.parse(text), text).not.toThrow();
    }
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
