import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

/**
 * Runs every check of the repository, one after another, and ends with what failed and their sum. `--long` adds the
 * suites that take minutes; names of suites choose some. Status 1 when anything failed.
 */

interface Suite {
  readonly name: string;
  /** An npm script, with arguments. */
  readonly script: readonly string[];
  /** How it counts: a vitest run by its tests, a check as one. */
  readonly counts: "tests" | "check";
  readonly long?: boolean;
}

interface Result {
  passed: number;
  failed: number;
  skipped: number;
  /** What failed, as a person would look for it. */
  failures: readonly string[];
}

/** What is read of a vitest report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const suites: readonly Suite[] = [
  { name: "lint", script: ["lint"], counts: "check" },
  { name: "typecheck", script: ["typecheck"], counts: "check" },
  { name: "generated code is up to date", script: ["generate:check"], counts: "check" },
  { name: "schemas do not break", script: ["breaking"], counts: "check" },
  { name: "unit and contract", script: ["test:unit"], counts: "tests" },
  { name: "command line", script: ["test:cli"], counts: "tests" },
  { name: "end to end", script: ["test:e2e"], counts: "tests" },
  { name: "NATS", script: ["test:nats"], counts: "tests", long: true },
  { name: "NATS under faults", script: ["faults", "nats"], counts: "check", long: true },
  {
    name: "rolling restart",
    script: ["faults", "http", "--long", "R1"],
    counts: "check",
    long: true,
  },
  {
    name: "servers under faults",
    script: ["faults", "http", "R2", "R3", "R9"],
    counts: "check",
    long: true,
  },
  { name: "interop", script: ["interop"], counts: "check", long: true },
  { name: "interop finds mistakes", script: ["interop", "--plant"], counts: "check", long: true },
  { name: "googleapis, a part", script: ["googleapis", "--part"], counts: "check", long: true },
  { name: "conformance", script: ["conformance"], counts: "check", long: true },
  { name: "Connect conformance", script: ["conformance:connect"], counts: "check", long: true },
  {
    name: "hostile clients, every Node",
    script: ["test:nodes", "test/hostile"],
    counts: "check",
    long: true,
  },
  {
    name: "googleapis through codecs",
    script: ["googleapis:codec"],
    counts: "check",
    long: true,
  },
  { name: "codec fuzz", script: ["fuzz:codec"], counts: "check", long: true },
  // Timing is judged by people, on a quiet machine and with --check; here only what became far worse fails.
  {
    name: "speed and types of generated code",
    script: ["bench:codegen", "--guard", "--repeat", "3"],
    counts: "check",
    long: true,
  },
  {
    name: "speed of codecs",
    script: ["bench:codec", "--guard", "--processes", "2"],
    counts: "check",
    long: true,
  },
  { name: "frame fuzz", script: ["fuzz", "--count", "800000"], counts: "check", long: true },
];

const words = process.argv.slice(2);
const chosen = words.filter((word) => !word.startsWith("--"));
const unknown = chosen.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(
    `there is no suite ${unknown.join(", ")}; there are: ${suites.map((it) => it.name).join(", ")}`,
  );
  process.exit(2);
}

const sum = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const scratch = mkdtempSync(join(tmpdir(), "micro-es-test-"));
try {
  for (const suite of suites) {
    if (
      chosen.length > 0
        ? !chosen.includes(suite.name)
        : suite.long === true && !words.includes("--long")
    )
      continue;
    const began = performance.now();
    console.log(`\n=== ${suite.name} ===`);
    const result = await run(suite);
    sum.passed += result.passed;
    sum.failed += result.failed;
    sum.skipped += result.skipped;
    failures.push(...result.failures.map((failure) => `${suite.name}: ${failure}`));
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`=== ${suite.name}: ${inWords(result)} in ${seconds} s ===`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`\n${inWords(sum)}`);
process.exitCode = sum.failed > 0 ? 1 : 0;

function inWords({ passed, failed, skipped }: Omit<Result, "failures">): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

async function run(suite: Suite): Promise<Result> {
  const report = join(scratch, "report.json");
  rmSync(report, { force: true });
  const reporting =
    suite.counts === "tests"
      ? ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
      : [];
  const [script, ...args] = [...suite.script, ...reporting];
  const ok = (await npmRun(script ?? "", args)) === 0;
  if (suite.counts === "tests") return count(report, ok);
  const failures = ok ? [] : [`npm run ${suite.script.join(" ")}`];
  return { passed: ok ? 1 : 0, failed: failures.length, skipped: 0, failures };
}

function npmRun(script: string, args: readonly string[]): Promise<number | null> {
  // Colours in a log are noise, and CI makes some tools write them to anything.
  const env = process.stdout.isTTY
    ? process.env
    : { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" };
  const child = spawn("npm", ["run", "--silent", script, "--", ...args], { stdio: "inherit", env });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
}

/** The counts of a vitest report. A file that could not run, as by a broken import, counts as one failure. */
function count(report: string, ok: boolean): Result {
  let tests: Report;
  try {
    tests = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0, failures: ["it ended without a report"] };
  }
  const failures = tests.testResults.flatMap((file) => {
    const name = relative(process.cwd(), file.name);
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
  };
}
