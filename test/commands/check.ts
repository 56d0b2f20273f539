import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { root, UsageError } from "./command.ts";

type Line = readonly [program: string, ...args: string[]];

/** A check, as the programs that make it up. All must succeed. */
interface Check {
  readonly summary: string;
  readonly run: readonly Line[];
  /** What `--write` runs instead: it changes the files so that the check succeeds, where it can. */
  readonly write?: readonly Line[];
}

const packages = [
  "protoc-gen-micro",
  "runtime",
  "drivers/nats",
  "drivers/etcd",
  "drivers/consul",
  "drivers/dns",
  "drivers/zookeeper",
  "drivers/rabbitmq",
  "drivers/nsq",
  "drivers/redis",
  "drivers/postgres",
  "drivers/kafka",
  "drivers/pubsub",
  "cli",
];
const buildAll: Line = ["tsc", "-b", ...packages];
const guaranteeTables: Line = [
  "tsx",
  "--conditions=@micro-es/source",
  "test/support/guarantee-tables.ts",
];
const buildPlugin: Line = ["tsc", "-b", "protoc-gen-micro"];

/** Those that take longest come first, because some run at the same time. */
export const checks: Readonly<Record<string, Check>> = {
  types: {
    summary: "types of all packages, tests and examples",
    run: [
      buildAll,
      ["tsc", "-p", "tsconfig.check.json"],
      ["tsc", "-p", "test/interop/browser"],
      ["tsc", "-p", "examples/oidc/page"],
    ],
  },
  lint: {
    summary: "rules for TypeScript (biome) and schemas (buf)",
    run: [["biome", "check", "--formatter-enabled=false", "."], buildPlugin, ["buf", "lint"]],
    write: [
      ["biome", "check", "--formatter-enabled=false", "--write", "."],
      buildPlugin,
      ["buf", "lint"],
    ],
  },
  words: {
    summary: "words and width of comments, messages and docs",
    run: [["tsx", "test/language/run.ts"]],
  },
  generated: {
    summary: "generated code and tables are up to date",
    run: [
      ["tsx", "test/support/generate.ts", "--check"],
      [...guaranteeTables, "--check"],
    ],
    write: [["tsx", "test/support/generate.ts"], guaranteeTables],
  },
  breaking: {
    summary: "schemas do not break those of the last commit on main",
    run: [buildPlugin, ["tsx", "test/breaking.ts"]],
  },
  format: {
    summary: "format of TypeScript, JSON and schemas",
    run: [
      ["biome", "format", "."],
      ["buf", "format", "--diff", "--exit-code"],
    ],
    write: [
      ["biome", "format", "--write", "."],
      ["buf", "format", "-w"],
    ],
  },
};

const usage = [
  "npm run check -- [--write] [NAME ...]",
  ...Object.entries(checks).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`),
  "  --write     format, apply safe fixes and generate code instead of reporting",
].join("\n");

/** @throws UsageError for a check or an option that does not exist. */
export function parseChecks(words: readonly string[]): {
  readonly names: readonly string[];
  readonly write: boolean;
} {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: { write: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    const unknown = positionals.filter((name) => !Object.hasOwn(checks, name));
    if (unknown.length > 0) throw new Error(`npm run check does not have ${unknown.join(", ")}`);
    const all = Object.keys(checks);
    const names = all.filter((name) => positionals.length === 0 || positionals.includes(name));
    return { names, write: values.write };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage}`);
  }
}

/**
 * Runs all of the checks, even when one fails, and as many at the same time as there are cores.
 * Resolves with the names of those that failed.
 */
export async function runChecks(
  names: readonly string[],
  write: boolean,
): Promise<readonly string[]> {
  const waiting = [...names];
  const failed: string[] = [];
  const together = !write && names.length > 1;
  // Several must not build a package at the same time. Where the build fails, a check reports it.
  const lanes = together && (await run(buildAll, "none")) ? availableParallelism() : 1;
  const runWaiting = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const check = checks[name] as Check;
      const began = performance.now();
      const lines = (write ? check.write : undefined) ?? check.run;
      const succeeded = await runLines(lines, lanes > 1 ? "at the end" : "at once");
      if (!succeeded) failed.push(name);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`${succeeded ? "ok     " : "FAILED "} ${name} (${seconds} s)`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, runWaiting));
  return names.filter((name) => failed.includes(name));
}

async function runLines(lines: readonly Line[], output: Output): Promise<boolean> {
  for (const line of lines) if (!(await run(line, output))) return false;
  return true;
}

/** When the output of a program is printed. */
type Output = "at once" | "at the end" | "none";

async function run([program, ...args]: Line, output: Output): Promise<boolean> {
  const piped = output === "at the end";
  // npm puts the folder of these programs on the PATH.
  const child = spawn(program, args, {
    cwd: root,
    stdio: ["ignore", ...Array(2).fill(piped ? "pipe" : output === "none" ? "ignore" : "inherit")],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const streams = [child.stdout, child.stderr].flatMap((stream) => stream ?? []);
  const [status, ...texts] = await Promise.all([ended, ...streams.map(text)]);
  process.stdout.write(texts.join(""));
  return status === 0;
}

/** `npm run check [-- NAME ...]`: everything that is known without running the code. */
async function main(): Promise<void> {
  const words = process.argv.slice(2);
  if (words.includes("--help")) {
    console.log(usage);
    return;
  }
  try {
    const { names, write } = parseChecks(words);
    const failed = await runChecks(names, write);
    if (failed.length === 0) return;
    console.error(`failed: ${failed.join(", ")}; run one with npm run check -- NAME`);
    process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}

if (process.argv[1] === import.meta.filename) await main();
