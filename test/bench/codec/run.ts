import { bundleSizes } from "./bundle-size.ts";
import { ContenderProcess, type Operation } from "./contender-process.ts";
import { contenders } from "./contenders/index.ts";
import { fixtures } from "./fixtures.ts";
import { shareOfGoals } from "./guard.ts";
import { slowdowns, slowdownTable } from "./malformed.ts";
import { median } from "./measure.ts";
import { prepare } from "./prepare.ts";
import { missed, type Row, table } from "./report.ts";

/**
 * `npm run bench -- codec`: our codecs compared with others, as a table of medians. `--json` prints
 * a line for each figure instead, `--check` exits with 1 when a goal is missed, `--guard` when it
 * is missed by far, `--processes N` and `--rounds N` set how often to measure, and names of
 * fixtures select some. `--malformed` measures the slowdown of decoding after malformed bytes.
 */

const words = process.argv.slice(2);
const named = fixtures.filter(({ name }) => words.includes(name));
const chosen = (named.length === 0 ? fixtures : named).map(({ name }) => name);
const operations: readonly Operation[] = ["decode", "encode", "encode into"];

const folder = prepare();
const rows = new Map<string, Omit<Row, "rates"> & { readonly rates: number[] }>();
for (let left = numberBehind("--processes", 5); left > 0; left--) {
  await measureProcesses(numberBehind("--rounds", 5));
}
const figures = [...rows.values()];
const slower = words.includes("--malformed") ? await slowdowns(folder, 15) : [];
const sizes = await bundleSizes(folder);
if (words.includes("--json")) {
  for (const { rates, ...row } of figures) {
    console.log(JSON.stringify({ ...row, rate: median(rates) }));
  }
  for (const size of sizes) console.log(JSON.stringify(size));
  for (const row of slower) console.log(JSON.stringify(row));
} else {
  console.log(table(figures, sizes));
  if (slower.length > 0) console.log(slowdownTable(slower));
}
const share = shareOfGoals(words);
if (share !== undefined) {
  const failures = missed(figures, sizes, share);
  for (const failure of failures) console.error(`MISSED ${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

/**
 * Lets one process of each contender work in turns, one slice each, so that other load affects all
 * alike.
 */
async function measureProcesses(rounds: number): Promise<void> {
  const processes = contenders.map(({ name }) => new ContenderProcess(name, folder));
  for (const fixture of chosen) {
    for (let round = 0; round < rounds; round++) {
      for (const operation of operations) {
        for (const contender of processes) {
          const { rate, bytes } = await contender.slice(fixture, operation);
          if (rate === undefined) continue;
          const key = [fixture, contender.name, operation].join();
          const row = { fixture, bytes, contender: contender.name, operation, rates: [] };
          const { rates } = rows.get(key) ?? rows.set(key, row).get(key)!;
          rates.push(rate);
        }
      }
    }
  }
  await Promise.all(processes.map((it) => it.stop()));
}

function numberBehind(option: string, otherwise: number): number {
  const at = words.indexOf(option);
  if (at < 0) return otherwise;
  const number = Number(words[at + 1]);
  if (!(number >= 1)) throw new Error(`${option} needs a number of at least 1`);
  return number;
}
