import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { chooseVersions, nodeVersions } from "../nodes/versions.ts";
import { runChecks } from "./check.ts";
import { root, UsageError } from "./command.ts";
import { anyProject, type Level, type Suite, suites, suitesOf } from "./suites.ts";

/** What `npm test` was asked for. */
export interface Request {
  readonly level: Level;
  readonly steps: readonly Step[];
  /** What narrows a run of vitest: files, folders and a pattern for the names of tests. */
  readonly filters: readonly string[];
}

/** A suite with the Node that its tests run on; undefined: the one that is installed. */
export interface Step {
  readonly suite: Suite;
  readonly node?: string;
}

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Names of what failed. */
  readonly failures: readonly string[];
  /** Names of what failed once and then passed. */
  readonly unsteady: readonly string[];
}

/** The used part of a vitest report. */
interface Report {
  readonly numPassedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      /** Those of all attempts, also of a test that passed in the end. */
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const usage = [
  "npm test -- [--ci | --long] [--node VERSION] [-t PATTERN] [SUITE ...] [FILE ...]",
  "  --ci            all suites; those for every Node on one version, in turns",
  "  --long          all suites; those for every Node on all versions",
  "  --node VERSION  run tests on another Node: a version such as 22, all, or rotating",
  "  -t PATTERN      run tests whose names match",
  "  FILE            run the tests of a file or folder",
  `  SUITE           ${suites.map(({ name }) => name).join(", ")}`,
].join("\n");

const nodesOfLevel = { short: "own", ci: "rotating", long: "all" } as const;

/** @throws UsageError for what does not exist, or does not go together. */
export function parseRequest(words: readonly string[]): Request {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: {
        ci: { type: "boolean", default: false },
        long: { type: "boolean", default: false },
        node: { type: "string" },
        testNamePattern: { type: "string", short: "t" },
      },
      allowPositionals: true,
    });
    if (values.ci && values.long) throw new Error("--ci and --long exclude each other");
    const level = values.long ? "long" : values.ci ? "ci" : "short";
    const named = suites.filter(({ name }) => positionals.includes(name));
    const files = positionals.filter((word) => !suites.some(({ name }) => name === word));
    const missing = files.filter((file) => !existsSync(join(root, file)));
    if (missing.length > 0) throw new Error(`no suite and no file is called ${missing.join(", ")}`);
    const { testNamePattern: pattern } = values;
    const filters = [...files, ...(pattern === undefined ? [] : ["-t", pattern])];
    const chosen = named.length > 0 ? named : filters.length > 0 ? [anyProject] : undefined;
    const steps =
      chosen === undefined
        ? suitesOf(level).flatMap((suite) =>
            onNodes(suite, suite.onEveryNode ? (values.node ?? nodesOfLevel[level]) : "own"),
          )
        : chosen.flatMap((suite) => onNodes(suite, values.node ?? "own"));
    const narrowed = filters.length > 0 || (chosen !== undefined && values.node !== undefined);
    const script = steps.find(({ suite }) => "script" in suite.runs);
    if (narrowed && script !== undefined)
      throw new Error(`${script.suite.name} takes no file, no pattern and no version of Node`);
    return { level, steps, filters };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage}`);
  }
}

function onNodes(suite: Suite, choice: string): Step[] {
  if (choice === "own") return [{ suite }];
  return chooseVersions(choice).map((node) => ({ suite, node }));
}

async function runSteps({ steps, filters, level }: Request): Promise<Result> {
  const scratch = mkdtempSync(join(tmpdir(), "micro-es-test-"));
  const results: Result[] = [];
  try {
    const checks = steps.flatMap(({ suite }) => (isCheck(suite) ? suite.name : []));
    if (checks.length > 0) results.push(await runAllChecks(checks));
    for (const batch of batchesOf(steps.filter(({ suite }) => !isCheck(suite)))) {
      const title = batch.map(titleOf).join(", ");
      console.log(`\n=== ${title} ===`);
      const began = performance.now();
      const result = await runBatch(batch, filters, level, join(scratch, "report.json"));
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`=== ${title}: ${inWords(result)} in ${seconds} s ===`);
      const titled = (names: readonly string[]) => names.map((name) => `${title}: ${name}`);
      const { failures, unsteady } = result;
      results.push({ ...result, failures: titled(failures), unsteady: titled(unsteady) });
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const sum = (count: "passed" | "failed" | "skipped") =>
    results.reduce((total, result) => total + result[count], 0);
  return {
    passed: sum("passed"),
    failed: sum("failed"),
    skipped: sum("skipped"),
    failures: results.flatMap(({ failures }) => failures),
    unsteady: results.flatMap(({ unsteady }) => unsteady),
  };
}

/** Groups of steps that run at once, in order. */
export function batchesOf(steps: readonly Step[]): readonly (readonly [Step, ...Step[]])[] {
  const batches: [Step, ...Step[]][] = [];
  for (const step of steps) {
    const last = batches.at(-1);
    if (step.suite.together && last?.[0].suite.together && last[0].node === step.node)
      last.push(step);
    else batches.push([step]);
  }
  return batches;
}

function titleOf({ suite, node }: Step): string {
  return node === undefined ? suite.name : `${suite.name} on Node ${node}`;
}

function isCheck({ runs }: Suite): boolean {
  return "script" in runs && runs.script[0] === "check";
}

async function runAllChecks(names: readonly string[]): Promise<Result> {
  console.log("\n=== checks ===");
  const began = performance.now();
  const failed = await runChecks(names, false);
  const failures = failed.map((name) => `npm run check -- ${name}`);
  const passed = names.length - failed.length;
  const result = { ...success, passed, failed: failed.length, failures };
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`=== checks: ${inWords(result)} in ${seconds} s ===`);
  return result;
}

function inWords({ passed, failed, skipped }: Result): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

const success: Result = { passed: 1, failed: 0, skipped: 0, failures: [], unsteady: [] };
const failure = (name: string): Result => ({
  ...success,
  passed: 0,
  failed: 1,
  failures: [name],
});

async function runBatch(
  batch: readonly [Step, ...Step[]],
  filters: readonly string[],
  level: Level,
  report: string,
): Promise<Result> {
  const [{ suite, node = "own" }] = batch;
  // Tests and scripts choose their variants by this.
  const env = { ...process.env, ...plain(), MICRO_TEST_LEVEL: level };
  if (suite.builds !== undefined && !(await succeeds("tsc", ["-b", ...suite.builds], env)))
    return failure("the build");
  if ("script" in suite.runs) {
    const [script = "", ...words] = suite.runs.script;
    const attempt = () => succeeds("npm", ["run", "--silent", script, "--", ...words], env);
    if (await attempt()) return success;
    const name = `npm run ${script} -- ${words.join(" ")}`;
    console.log(`\n${suite.name} failed; this is its second attempt`);
    return (await attempt()) ? { ...success, unsteady: [name] } : failure(name);
  }
  const [version] = nodeVersions(node);
  if (version?.program === undefined) {
    console.log(`SKIPPED: there is no program of Node ${node} for this machine`);
    return process.env.CI === "true"
      ? failure("no program")
      : { ...success, passed: 0, skipped: 1 };
  }
  // Programs that tests start by name, such as npm, run on the same Node.
  const PATH = `${dirname(version.program)}${delimiter}${process.env.PATH}`;
  const projects = batch.flatMap(({ suite: { runs } }) =>
    "project" in runs ? ["--project", runs.project] : [],
  );
  const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run", ...projects];
  const reporting = [
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    `--reporter=${join(root, "test/support/stuck-files.ts")}`,
  ];
  const retrying = level === "short" ? [] : ["--retry", "1"];
  rmSync(report, { force: true });
  const ok = await succeeds(
    version.program,
    [...vitest, ...reporting, ...retrying, ...filters],
    node === "own" ? env : { ...env, PATH },
  );
  return count(report, ok);
}

/** Colours in a log are noise, and CI makes some tools write them to anything. */
function plain(): Record<string, string> {
  return process.stdout.isTTY ? {} : { NO_COLOR: "1", FORCE_COLOR: "0" };
}

function succeeds(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  const child = spawn(program, args, { cwd: root, stdio: "inherit", env });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => resolve(status === 0));
  });
}

/**
 * Counts the tests of a report. A file that could not run counts as one failure.
 *
 * @param report the path of a vitest report in JSON
 * @param ok whether vitest succeeded
 */
export function count(report: string, ok: boolean): Result {
  let tests: Report;
  try {
    tests = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return failure("it ended without a report");
  }
  const unsteady: string[] = [];
  const failures = tests.testResults.flatMap((file) => {
    const name = relative(process.cwd(), file.name);
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status !== "passed" || failureMessages.length === 0) continue;
      unsteady.push(`${name} > ${fullName}: ${failureMessages[0]?.split("\n")[0]}`);
    }
    const failed = file.assertionResults.filter((test) => test.status === "failed");
    if (file.status === "failed" && failed.length === 0) return `${name} could not run`;
    return failed.map((test) => `${name} > ${test.fullName}`);
  });
  if (!ok && failures.length === 0) failures.push("an error outside of every test");
  return {
    passed: tests.numPassedTests,
    failed: failures.length,
    skipped: tests.numPendingTests,
    failures,
    unsteady,
  };
}

/**
 * `npm test`: runs the checks, then suites one by one, and prints the sum. Exits with 1 when
 * anything failed.
 */
async function main(): Promise<void> {
  const words = process.argv.slice(2);
  if (words.includes("--help")) {
    console.log(usage);
    return;
  }
  try {
    const result = await runSteps(parseRequest(words));
    for (const name of result.unsteady) console.log(`passed at the second attempt: ${name}`);
    for (const name of result.failures) console.log(`failed: ${name}`);
    console.log(`\n${inWords(result)}`);
    process.exitCode = result.failed > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}

if (process.argv[1] === import.meta.filename) await main();
