import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { rotating, supportedVersions } from "../nodes/versions.ts";
import { bench } from "./bench.ts";
import { checks, parseChecks } from "./check.ts";
import { type Command, parseCommand, root } from "./command.ts";
import { faults } from "./faults.ts";
import { fuzz } from "./fuzz.ts";
import { interop } from "./interop.ts";
import { suites } from "./suites.ts";
import { batchesOf, count, parseRequest } from "./test.ts";

const commands: Readonly<Record<string, Command>> = { bench, faults, fuzz, interop };
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** @throws Error where package.json has no such script, or the script no such arguments. */
function parseScript(script: string, words: readonly string[]): void {
  if (!Object.hasOwn(scripts, script)) throw new Error(`there is no script ${script}`);
  const command = commands[script];
  if (command !== undefined) parseCommand(command, words);
  if (script === "check") parseChecks(words);
  if (script === "test") parseRequest(words);
}

describe("the scripts of package.json", () => {
  test("are a handful", () => {
    const own = ["check", "test", "bench", "fuzz", "faults", "interop", "generate", "pack"];
    expect(Object.keys(scripts).sort()).toEqual([...own, "build", "demo"].sort());
  });

  test.each(Object.values(commands))("$name starts programs that exist", ({ tasks }) => {
    for (const { program } of Object.values(tasks))
      expect(existsSync(join(root, program))).toBe(true);
  });

  test.each(suites.filter(({ runs }) => "script" in runs))(
    "have what suite $name runs",
    (suite) => {
      const [script = "", ...words] = "script" in suite.runs ? suite.runs.script : [];
      parseScript(script, words);
    },
  );

  test("accept every argument that comments, messages and docs mention", () => {
    const files = execFileSync("git", ["ls-files", "*.md", "*.ts", ".ci", "test/setup"], {
      cwd: root,
      encoding: "utf8",
    });
    const wrong = files
      .trim()
      .split("\n")
      .filter((file) => !isExempt(file) && existsSync(join(root, file)))
      .flatMap((file) => wrongMentions(readFileSync(join(root, file), "utf8"), file));
    expect(wrong).toEqual([]);
  });

  test.each([
    ["`npm run attacks -- --short`", "there is no script attacks"],
    ["`npm run fuzz -- codecs`", "npm run fuzz does not have codecs"],
    ["`npm run bench -- codec --chek`", "'--chek'"],
    ["npm run check -- formt", "npm run check does not have formt"],
    ["`npm test -- unti`", "no suite and no file is called unti"],
  ])("do not accept what %s mentions", (text, problem) => {
    expect(wrongMentions(text, "page.md")).toEqual([expect.stringContaining(problem)]);
  });
});

/** Files that speak of the scripts of new projects, or print usage. */
function isExempt(file: string): boolean {
  return /^(cli|test\/commands|test\/end-to-end)\//.test(file);
}

/** Scripts of projects that `micro new` writes. */
const ofNewProjects = new Set(["dev", "start", "lint", "scaffold"]);

/** Describes mentions of commands that do not exist. */
function wrongMentions(text: string, file: string): string[] {
  const mentions = text.matchAll(
    /npm (?:run (?:--silent |-s )?([a-z][\w:-]*)|(test))((?: [^\s`"'|&#)]+)*)/g,
  );
  return [...mentions].flatMap(([mention, run, test, rest = ""]) => {
    const script = run ?? test ?? "";
    const words = rest.trim().split(" ");
    if (ofNewProjects.has(script) || words.some((word) => /^(-w|--workspaces?)$/.test(word)))
      return [];
    const given = words.slice(words.indexOf("--") + 1).filter((word) => word !== "--help");
    const placeholder = given.findIndex((word) => /[<>[{…;]/.test(word));
    try {
      if (given.length > 0 && words.includes("--") && placeholder < 0) parseScript(script, given);
      else if (!Object.hasOwn(scripts, script)) throw new Error(`there is no script ${script}`);
      return [];
    } catch (error) {
      return [`${file}: ${mention}: ${(error as Error).message.split("\n")[0]}`];
    }
  });
}

describe("arguments", () => {
  test("are passed to the named task, with options separate from their values", () => {
    const { task, args } = parseCommand(fuzz, ["codec", "--inputs=5", "--seed", "2"]);
    expect(task).toBe(fuzz.tasks.codec);
    expect(args).toEqual(["--inputs", "5", "--seed", "2"]);
  });

  test("are passed to the default task if none is named", () => {
    const { task, args } = parseCommand(bench, ["--check", "--only", "a", "--only", "b"]);
    expect(task).toBe(bench.tasks.calls);
    expect(args).toEqual(["--check", "--only", "a", "--only", "b"]);
    expect(parseCommand(interop, []).task).toBe(interop.tasks.grpc);
  });

  test("follow the task's own arguments", () => {
    expect(parseCommand(faults, ["nats", "--long", "B1"]).args).toEqual(["nats", "--long", "B1"]);
  });

  test.each([
    ["an unknown name", fuzz, ["codecs"], "npm run fuzz does not have codecs"],
    ["no name where one is needed", fuzz, [], "npm run fuzz needs a name"],
    ["a name behind its options", bench, ["--json", "codec"], "Unexpected argument 'codec'"],
  ])("are refused for %s, with a list of the names", (_what, command, words, problem) => {
    expect(() => parseCommand(command, words)).toThrow(problem);
    const names = problem.startsWith("Unexpected") ? ["calls"] : Object.keys(command.tasks);
    for (const name of names) expect(() => parseCommand(command, words)).toThrow(`  ${name} `);
  });

  test.each([
    ["an unknown option", ["codec", "--input", "5"], "'--input'"],
    ["an option without its value", ["codec", "--inputs"], "argument missing"],
    ["a word where there are none", ["codec", "all"], "Unexpected argument 'all'"],
  ])("are refused for %s, with a list of the options", (_what, words, problem) => {
    expect(() => parseCommand(fuzz, words)).toThrow(problem);
    expect(() => parseCommand(fuzz, words)).toThrow("--inputs N");
  });

  test("that are invalid end a command with status 2 before anything runs", () => {
    for (const script of ["fuzz", "check", "test"]) {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ["--import", "tsx", `test/commands/${script}.ts`, "no-such-thing"],
        { cwd: root, encoding: "utf8" },
      );
      expect({ status, stdout }, script).toEqual({ status: 2, stdout: "" });
      expect(stderr).toContain("no-such-thing");
    }
  }, 120_000);
});

describe("npm run check", () => {
  test("runs all checks, or those that are named, in their order", () => {
    expect(parseChecks([])).toEqual({ names: Object.keys(checks), write: false });
    const { names, write } = parseChecks(["lint", "--write", "types"]);
    expect({ names, write }).toEqual({ names: ["types", "lint"], write: true });
  });

  test("refuses unknown checks, and lists the known ones", () => {
    for (const words of [["typecheck"], ["--fix"]]) {
      expect(() => parseChecks(words)).toThrow(words[0]);
      for (const name of Object.keys(checks)) expect(() => parseChecks(words)).toThrow(name);
    }
  });
});

describe("npm test", () => {
  const stepsOf = (...words: string[]) =>
    parseRequest(words).steps.map(({ suite, node }) =>
      node ? `${suite.name} ${node}` : suite.name,
    );

  test("runs the short suites on the installed Node", () => {
    expect(stepsOf()).toEqual([...Object.keys(checks), "unit", "cli"]);
  });

  test("runs unit, end-to-end and hostile tests on one version in CI, in turns", () => {
    const steps = stepsOf("--ci");
    const [version] = supportedVersions.filter((it) => steps.includes(`unit ${it}`));
    for (const name of ["unit", "e2e", "hostile"]) {
      expect(steps.filter((step) => step.split(" ")[0] === name)).toEqual([`${name} ${version}`]);
    }
    const ofCi = suites.filter(({ from }) => from !== "long");
    expect(steps).toHaveLength(ofCi.length);
    const turns = supportedVersions.map((_, turn) => rotating(turn + 7));
    expect(new Set(turns)).toEqual(new Set(supportedVersions));
  });

  test("runs them on the version that is chosen, and on all of them in the long run", () => {
    expect(stepsOf("--ci", "--node", "24")).toContain("e2e 24.21.0");
    for (const version of supportedVersions) {
      for (const name of ["unit", "e2e", "hostile"])
        expect(stepsOf("--long")).toContain(`${name} ${version}`);
    }
    expect(stepsOf("--long")).toContain("attacks");
    expect(stepsOf("--long")).toContain("interop-planted");
  });

  test("runs the tests of drivers together, and everything else by itself", () => {
    const { steps } = parseRequest(["unit", "nats", "redis", "etcd-faults", "hostile"]);
    const names = batchesOf(steps).map((batch) => batch.map(({ suite }) => suite.name));
    expect(names).toEqual([["unit"], ["hostile"], ["nats", "redis"], ["etcd-faults"]]);
  });

  test("names tests that passed only at the second attempt, and counts those that failed twice", () => {
    const folder = mkdtempSync(join(tmpdir(), "micro-es-report-"));
    try {
      const report = join(folder, "report.json");
      const result = (fullName: string, status: string, ...failureMessages: string[]) => ({
        ...{ fullName, status, failureMessages },
      });
      const results = [
        result("steady", "passed"),
        result("flaky", "passed", "Error: late\n    at a.test.ts:1:1"),
        result("broken", "failed", "Error: wrong", "Error: wrong"),
      ];
      const name = join(process.cwd(), "a.test.ts");
      const file = { name, status: "failed", assertionResults: results };
      const counts = { numPassedTests: 2, numPendingTests: 0 };
      writeFileSync(report, JSON.stringify({ ...counts, testResults: [file] }));
      expect(count(report, false)).toEqual({
        ...{ passed: 2, failed: 1, skipped: 0 },
        failures: ["a.test.ts > broken"],
        unsteady: ["a.test.ts > flaky: Error: late"],
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("runs suites, files and tests by name", () => {
    expect(stepsOf("e2e", "lint")).toEqual(["lint", "e2e"]);
    expect(stepsOf("nats", "--node", "22")).toEqual(["nats 22.23.3"]);
    const { steps, filters } = parseRequest(["test/codec", "-t", "maps"]);
    expect(filters).toEqual(["test/codec", "-t", "maps"]);
    expect(steps.map(({ suite }) => suite.runs)).toEqual([{ project: "*" }]);
  });

  test.each([
    [["unti"], "no suite and no file is called unti"],
    [["--quick"], "'--quick'"],
    [["--ci", "--long"], "exclude each other"],
    [["--node", "18"], "20.19.0, 22.23.3, 24.21.0, 26.12.1"],
    [["lint", "--node", "22"], "lint takes no file"],
    [["lint", "test/codec"], "lint takes no file"],
  ])("refuses %j", (words, problem) => {
    expect(() => parseRequest(words)).toThrow(problem);
    expect(() => parseRequest(words)).toThrow(/SUITE +types, .*unit, cli, e2e/);
  });
});
