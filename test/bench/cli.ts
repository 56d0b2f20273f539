/**
 * Time until `micro` has responded, as whole processes alternating with an empty Node process:
 * `npm run bench -- cli [--check] [--runs <count>]`. With `--check` the status is 1 when a goal is
 * missed.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type CliRow, missedCliGoals, summarize } from "./cli-times.ts";

const { values } = parseArgs({
  options: { check: { type: "boolean" }, runs: { type: "string", default: "31" } },
});
const program = join(import.meta.dirname, "../../cli/bin/micro.js");
const commands: Readonly<Record<string, readonly string[]>> = {
  "node -e 0": ["-e", "0"],
  "micro --help": [program, "--help"],
  "micro --version": [program, "--version"],
  "micro call --help": [program, "call", "--help"],
  "micro scaffold --help": [program, "scaffold", "--help"],
};

const times = new Map<string, number[]>(Object.keys(commands).map((name) => [name, []]));
for (let run = 0; run < Number(values.runs); run++) {
  for (const [name, args] of Object.entries(commands)) {
    const began = performance.now();
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
    times.get(name)?.push(performance.now() - began);
  }
}
const rows: readonly CliRow[] = summarize(times, "node -e 0");
console.table(
  Object.fromEntries(
    rows.map(({ command, medianMs, leastMs, timesNode }) => [
      command,
      {
        "median ms": medianMs.toFixed(1),
        "least ms": leastMs.toFixed(1),
        "× node -e 0": timesNode.toFixed(2),
      },
    ]),
  ),
);
const missed = missedCliGoals(rows);
for (const sentence of missed) console.error(`missed: ${sentence}`);
if (values.check === true && missed.length > 0) process.exitCode = 1;
