import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { commands } from "../../cli/src/commands.ts";
import { inCi, testInCi } from "../support/long.ts";
import { ownFleet } from "../support/process.ts";
import { type CommandRun, commandRuns, mistakes } from "./command-table.ts";
import { followDockerfile } from "./dockerfile.ts";
import { copyPackages } from "./packed-packages.ts";
import { readmeParts } from "./readme-steps.ts";

// From nothing to a service that was changed and called, with the packed packages and the commands
// of README.md and docs/getting-started.md.

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
// Node 22 warns on standard error if NO_COLOR is set as well, even if it is empty.
delete env.FORCE_COLOR;
for (const name of Object.keys(env)) {
  if (/^npm_(package|lifecycle|config_local_prefix|config_loglevel)/.test(name)) delete env[name];
}

beforeAll(async () => {
  const names = ["protoc-gen-micro", "@micro-es/runtime", "@micro-es/cli"];
  await copyPackages(join(scratch, "micro-es/packages"), names);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function shell(
  line: string,
  cwd: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  try {
    const options = { cwd, env: { ...env, ...more }, timeout: 300_000 };
    const { stdout, stderr } = await run("bash", ["-c", line], options);
    return { code: 0, output: stdout + stderr };
  } catch (reason) {
    const { code, stdout, stderr } = reason as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

/** A program in a terminal of its own, until it is disposed. */
interface Terminal extends AsyncDisposable {
  /** All that it has shown. */
  readonly log: string;
}

/** Runs `npx --no-install micro run` in a terminal of its own, until the service listens. */
async function start(
  cwd: string,
  line = "npx --no-install micro run",
  more: Readonly<Record<string, string>> = {},
): Promise<Terminal> {
  const child = spawn("bash", ["-c", line], {
    cwd,
    env: { ...env, ...more },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  // After "exit", the last lines may not have been read yet.
  const ended = once(child, "close");
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
      expect(log).toContain("the service has stopped");
      if (line.includes("micro run"))
        expect(log).toMatch(/the service has stopped[\s\S]* has stopped/);
      expect(log).not.toContain("second stop signal");
    },
  };
}

/** The output that a command has to match. */
type Expected = readonly (readonly [command: string, output: RegExp])[];

const firstCall: Expected = [
  ["cd .. && npm exec", /hello was created, \d+ files/],
  ["cd hello && npm install", /added \d+ packages/],
  ["npx --no-install micro run", /generated in \.[\s\S]*the server listens/],
  ["npx tsx client.ts", /^Hello Ada\n$/],
];

const projectInOneCommand: Expected = [
  ["cd .. && npm exec", /shop was created, \d+ files/],
  ["cd shop && npm install", /added \d+ packages[\s\S]*pass 1\b/],
  ["git init", /^$/],
  ["npx --no-install micro run", /generated in \.[\s\S]*the server listens/],
  ["npx --no-install micro call shop Hello", /^\{"message":"Hello Ada"\}\n$/],
  [
    "npx --no-install micro stats",
    /shop\.v1\.ShopService\/Hello +1 +0 +0 +\d[\s\S]*info +the server listens service=shop/,
  ],
  ["npx --no-install micro scaffold", /^src\/shop-service\.ts: adds bye\n$/],
  ["npx --no-install micro call shop Bye", /^\{"message":"Bye Ada"\}\n$/],
  [
    "npx --no-install micro check",
    /✓ generated code .*\n✓ handlers .*\n✓ schema is compatible with main\n$/,
  ],
  ["npx --no-install micro check", /✓ handlers .*\n✗ schema\n/],
];

/**
 * Follows the instructions below a heading of a page; returns the log of the process that keeps
 * running.
 */
async function follow(page: string, heading: string, outputs: Expected): Promise<string> {
  const parts = readmeParts(readFileSync(join(repository, page), "utf8"), heading);
  const expected = [...outputs];
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
        // A reader pauses between two commands, during which the program catches up.
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
    } else if (existsSync(join(cwd, part.path))) {
      expectExcerpt(part.text, readFileSync(join(cwd, part.path), "utf8"));
    } else {
      writeFileSync(join(cwd, part.path), part.text);
    }
  }
  expect(expected).toEqual([]);
  return running?.log ?? "";
}

/**
 * Expects the parts of an excerpt between its `…` in a file, in order, whatever their whitespace.
 */
function expectExcerpt(excerpt: string, file: string): void {
  const plainSpace = (text: string) => text.replaceAll(/\s+/g, " ").trim();
  let rest = plainSpace(file);
  for (const part of excerpt.split("…").map(plainSpace)) {
    expect(rest).toContain(part);
    rest = rest.slice(rest.indexOf(part) + part.length);
  }
}

// Each installs a project as npm does, more than once.
describe("a newcomer with micro", { timeout: 900_000 }, () => {
  test("makes the first call as the README describes it", async () => {
    await follow("README.md", "First call", firstCall);
  });

  test("starts a project, changes its schema, scaffolds, calls, and cannot break it, as docs/getting-started.md describes it", async () => {
    const log = await follow(
      "docs/getting-started.md",
      "A project in one command",
      projectInOneCommand,
    );
    expect(log).toMatch(/restarts shop: proto\/shop\/v1\/shop\.proto changed/);
  });

  testInCi.each(["pubsub", "fullstack"])("installs, tests and runs a %s", async (kind) => {
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
    const called = await shell(
      `npx --no-install micro call my-${kind} Hello '{"name":"Ada"}'`,
      project,
    );
    expect(called.output).toContain("Hello Ada");
    if (kind !== "fullstack") return;
    const page = await fetch(`http://localhost:${env.WEB_PORT}/`);
    expect(await page.text()).toContain("my-fullstack");
  });
});

// Both install the project again.
describe.runIf(inCi)("a project of micro new --packages", { timeout: 900_000 }, () => {
  const project = join(scratch, "my-pubsub");
  const moved = join(scratch, "moved-packages");

  test("builds as its Dockerfile says, from what it copies only, and the image's command runs", async () => {
    // What an image is built from is the project; the folder that the packages came from is out of
    // reach.
    renameSync(join(scratch, "micro-es/packages"), moved);
    onTestFinished(() => renameSync(moved, join(scratch, "micro-es/packages")));
    const image = await followDockerfile(project, async (line, folder, environment) => {
      const { code, output } = await shell(line, folder, environment);
      expect(code, `${line}\n${output}`).toBe(0);
    });
    const inside = readdirSync(image.folder).sort();
    expect(inside).toEqual(["dist", "node_modules", "package.json"]);
    expect(existsSync(join(image.folder, "node_modules/typescript"))).toBe(false);
    const environment = {
      ...image.environment,
      MICRO_ADDRESS: "127.0.0.1:0",
      // The service starts while the keys of the provider cannot be read, and refuses all callers.
      AUTH_ISSUER: "https://127.0.0.1:9",
    };
    await using running = await start(image.folder, `${image.command.join(" ")} 2>&1`, environment);
    expect(running.log).toContain("the server listens");
  });

  test("passes its CI workflow in a clean clone", async () => {
    const committed = await shell(
      "git init -q -b main && git add -A && git commit -qm start",
      project,
    );
    expect(committed, committed.output).toMatchObject({ code: 0 });
    renameSync(join(scratch, "micro-es/packages"), moved);
    onTestFinished(() => renameSync(moved, join(scratch, "micro-es/packages")));
    const clone = join(scratch, "clone");
    await shell(`git clone -q ${project} ${clone}`, scratch);
    const workflow = readFileSync(join(clone, ".github/workflows/ci.yml"), "utf8");
    const lines = [...workflow.matchAll(/^ +- run: (.*)$/gm)].map(([, line = ""]) => line);
    expect(lines).toEqual(["npm ci", "npm run lint", "npm run check", "npm test"]);
    for (const line of lines) {
      const { code, output } = await shell(line, clone, { CI: "true" });
      expect(code, `${line}\n${output}`).toBe(0);
      expect(output).not.toContain("EBADENGINE");
      if (line === "npm run check")
        expect(output).toContain("✓ schema is compatible with origin/main");
    }
  });
});

const runs = commandRuns("my-pubsub");

test("each command is in the table of those that are run", () => {
  const rows = new Set(runs.map(({ command }) => command));
  expect(commands.map(({ name }) => name).filter((name) => !rows.has(name))).toEqual([]);
});

describe.runIf(inCi)("each command from the packages", { timeout: 300_000 }, () => {
  const project = join(scratch, "my-pubsub");
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

  test.each(runs)("piped: $line", async (row) => {
    const { code, shown } = await typed(row, false);
    expect(shown).toMatch(row.shows);
    expect(plain(shown)).toBe(shown);
    expect(row.until === undefined ? [row.code ?? 0] : [0, 130], shown).toContain(code);
  });

  // A completion script is not JSON.
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
