import { bundleSizes } from "./bundle-size.ts";
import { fixtures } from "./fixtures.ts";
import { shareOfGoals } from "./guard.ts";
import { slowdownTable } from "./malformed.ts";
import { median } from "./measure.ts";
import { measuredInProcess, type Result } from "./one-process.ts";
import { prepare } from "./prepare.ts";
import { merged, missed, table } from "./report.ts";

/**
 * `npm run bench:codec`: our codecs beside others, as a table of medians over several processes. `--json` prints a line for each
 * figure instead, `--check` ends with status 1 when a figure is missed, `--guard` when it is missed by far, `--processes N` and
 * `--rounds N` in each of them measure more or less often, and names of fixtures choose some. `--malformed` says how much
 * slower decoding is after malformed bytes.
 */

const words = process.argv.slice(2);
const named = fixtures.filter(({ name }) => words.includes(name));
const chosen = (named.length === 0 ? fixtures : named).map(({ name }) => name);

const folder = prepare();
const results: Result[] = [];
for (let left = numberBehind("--processes", 5); left > 0; left--) {
  const malformed = left === 1 && words.includes("--malformed");
  const rounds = numberBehind("--rounds", 5);
  results.push(measuredInProcess({ fixtures: chosen, rounds, malformed, folder }));
}
const rows = merged(results.map((it) => it.rows));
const slower = results.at(-1)?.slower ?? [];
const sizes = await bundleSizes(folder);
if (words.includes("--json")) {
  for (const { rates, ...row } of rows) {
    console.log(JSON.stringify({ ...row, rate: median(rates) }));
  }
  for (const size of sizes) console.log(JSON.stringify(size));
  for (const row of slower) console.log(JSON.stringify(row));
} else {
  console.log(table(rows, sizes));
  if (slower.length > 0) console.log(slowdownTable(slower));
}
const share = shareOfGoals(words);
if (share !== undefined) {
  const failures = missed(rows, sizes, share);
  for (const failure of failures) console.error(`MISSED ${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

function numberBehind(option: string, otherwise: number): number {
  const at = words.indexOf(option);
  if (at < 0) return otherwise;
  const number = Number(words[at + 1]);
  if (!(number >= 1)) throw new Error(`${option} needs a number of at least 1`);
  return number;
}
