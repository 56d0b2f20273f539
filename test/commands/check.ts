import { spawn } from "node:child_process";
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

const buildPlugin: Line = ["tsc", "-b", "protoc-gen-micro"];

export const checks: Readonly<Record<string, Check>> = {
  lint: {
    summary: "rules for TypeScript (biome) and schemas (buf)",
    run: [["biome", "check", "--formatter-enabled=false", "."], buildPlugin, ["buf", "lint"]],
    write: [
      ["biome", "check", "--formatter-enabled=false", "--write", "."],
      buildPlugin,
      ["buf", "lint"],
    ],
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
  words: {
    summary: "words and width of comments, messages and docs",
    run: [["tsx", "test/language/run.ts"]],
  },
  types: {
    summary: "types of all packages, tests and examples",
    run: [
      ["tsc", "-b", "protoc-gen-micro", "runtime", "drivers/nats", "drivers/etcd", "cli"],
      ["tsc", "-p", "tsconfig.check.json"],
      ["tsc", "-p", "test/interop/browser"],
    ],
  },
  generated: {
    summary: "generated code is up to date",
    run: [["tsx", "test/support/generate.ts", "--check"]],
    write: [["tsx", "test/support/generate.ts"]],
  },
  breaking: {
    summary: "schemas do not break those of the last commit on main",
    run: [buildPlugin, ["tsx", "test/breaking.ts"]],
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

/** Runs all of the checks, even when one fails. Resolves with the names of those that failed. */
async function runChecks(names: readonly string[], write: boolean): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const name of names) {
    const check = checks[name] as Check;
    const began = performance.now();
    const succeeded = await runLines((write ? check.write : undefined) ?? check.run);
    if (!succeeded) failed.push(name);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${succeeded ? "ok     " : "FAILED "} ${name} (${seconds} s)`);
  }
  return failed;
}

async function runLines(lines: readonly Line[]): Promise<boolean> {
  for (const [program, ...args] of lines) {
    // npm puts the folder of these programs on the PATH.
    const child = spawn(program, args, { cwd: root, stdio: "inherit" });
    const status = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    if (status !== 0) return false;
  }
  return true;
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
