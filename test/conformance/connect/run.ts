import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, generateService } from "./build.ts";
import { type ConnectRunner, connectRunner, NoConnectRunner, runnerVersion } from "./runner.ts";

/**
 * `npm run interop -- connect-conformance`: the conformance suite of the Connect project, against
 * our server and our client, with no list of known failures. `--mode server` or `client` runs one
 * of them; `--run PATTERN` some cases; `--plant` puts an error into both programs, which must be
 * found.
 */

/**
 * Cases that each mode has with `features.yaml`. More or fewer means another runner, or that
 * something was not run.
 */
const expected = { server: 3800, client: 4814 };

/** The most cases that are run again, and how often. */
const mostAgain = 5;
const timesAgain = 3;

type Mode = keyof typeof expected;

const { modes, patterns, plant } = parse(process.argv.slice(2));

let runner: ConnectRunner;
try {
  runner = connectRunner();
} catch (error) {
  if (!(error instanceof NoConnectRunner)) throw error;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  console.error(`CONNECT CONFORMANCE SKIPPED: ${error.message}${cause}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const folder = mkdtempSync(join(tmpdir(), "micro-es-connect-"));
try {
  generateService(runner.protos);
  const summary = [
    `connectconformance ${runnerVersion} on Node ${process.version}: HTTP/1.1 and 2, Connect, gRPC and gRPC-Web, proto and JSON,`,
    "identity and gzip, plain, TLS and TLS with client certificates, GET, message receive limit; no known failures",
  ];
  let failed = false;
  for (const mode of modes) {
    const began = performance.now();
    const program = await bundle(mode, folder);
    const { passed, failing, unrun, report, again } = await runAgain(
      await runMode(runner, mode, program, patterns),
      (cases) => runMode(runner, mode, program, cases),
    );
    const total = passed + failing + unrun;
    const whole = patterns.length > 0 || total === expected[mode];
    const ok = failing + unrun === 0 && passed > 0 && whole;
    failed ||= !ok;
    if (!ok) console.error(report);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    const share = whole ? `${total} cases` : `${total} cases, and there are ${expected[mode]}`;
    summary.push(
      `${ok ? "ok    " : "FAILED"} ${mode}: ${share}, ${passed} passed, ${failing} failed, ${unrun} could not be run${again === 0 ? "" : `, ${again} passed when they were run again`} (${seconds} s)`,
    );
  }
  console.log(summary.join("\n"));
  process.exitCode = failed ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

interface Outcome {
  readonly passed: number;
  readonly failing: number;
  readonly unrun: number;
  readonly report: string;
  /** Cases that failed at first and passed when they were run again; `passed` counts them. */
  readonly again: number;
}

/**
 * Runs the few cases that failed once more. The suite's own gRPC server is one of Go's net/http,
 * which by HTTP/1.1 closes a request's body when its handler answers first; whether a conversation
 * is answered first is a race within that server ("http: invalid Read on closed Body"). A
 * fault of ours fails each time.
 */
async function runAgain(
  first: Outcome,
  run: (cases: readonly string[]) => Promise<Outcome>,
): Promise<Outcome> {
  let outcome = first;
  for (let time = 0; time < timesAgain && outcome.failing > 0; time++) {
    const cases = [...outcome.report.matchAll(/^FAILED: (.+):$/gm)].flatMap(
      ([, name]) => name ?? [],
    );
    if (cases.length !== outcome.failing || cases.length > mostAgain) return outcome;
    const { passed, failing, report } = await run(cases);
    if (passed + failing !== cases.length) return outcome;
    outcome = {
      ...outcome,
      passed: outcome.passed + passed,
      failing,
      report,
      again: outcome.again + passed,
    };
  }
  return outcome;
}

function runMode(
  { program }: ConnectRunner,
  mode: Mode,
  testee: string,
  cases: readonly string[],
): Promise<Outcome> {
  const parallel = String(2 * availableParallelism());
  const args = ["--mode", mode, "--conf", join(import.meta.dirname, "features.yaml")];
  args.push("--max-servers", String(availableParallelism()));
  if (mode === "server") args.push("--parallel", parallel);
  for (const pattern of cases) args.push("--run", pattern);
  const child = spawn(program, [...args, "--", process.execPath, testee], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...(plant && { CONFORMANCE_PLANT: "1" }) },
  });
  let report = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      report += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => {
      const [, passed = 0, failing = 0] = report.match(/(\d+) passed, (\d+) failed/) ?? [];
      const [, unrun = 0] = report.match(/Another (\d+) could not be run/) ?? [];
      resolve({ passed: +passed, failing: +failing, unrun: +unrun, report, again: 0 });
    });
  });
}

function parse(words: string[]): { modes: Mode[]; patterns: string[]; plant: boolean } {
  const parsed = { modes: ["server", "client"] as Mode[], patterns: [] as string[], plant: false };
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    const value = () => words[++at] ?? usage(`${word} needs a value`);
    if (word === "--plant") parsed.plant = true;
    else if (word === "--run") parsed.patterns.push(value());
    else if (word === "--mode") {
      const mode = value();
      if (mode !== "server" && mode !== "client") usage(`there is no mode ${mode}`);
      parsed.modes = [mode];
    } else usage(`there is no option ${word}`);
  }
  // An error that is everywhere need not be looked for everywhere.
  if (parsed.plant && parsed.patterns.length === 0) parsed.patterns.push("Duplicate Metadata/**");
  return parsed;
}

function usage(problem: string): never {
  console.error(`${problem}; there are --mode server|client, --run PATTERN and --plant`);
  process.exit(2);
}
