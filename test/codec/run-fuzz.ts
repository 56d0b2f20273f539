import { join } from "node:path";
import { fuzz } from "./fuzz.ts";
import { testCodecs } from "./generated.ts";
import { protocJudge } from "./judge.ts";

/**
 * `npm run fuzz -- codec`: random messages and bytes through the generated codecs, protobuf-es and
 * protoc. `--inputs N` (default 20,000), `--seed N` (default: the same each time).
 */

const words = process.argv.slice(2);
const option = (name: string, fallback: number) => {
  const at = words.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(words[at + 1]);
};
const inputs = option("inputs", 20_000);
const seed = option("seed", 1);

const generated = await testCodecs();
const codecs = [
  "trap3.All",
  "trap3.Child",
  "trap3.Empty",
  "trap2.All",
  "trap2.Needed",
  "trap2023.All",
  "trap2024.All",
].map((name) => generated.codec(name));
const judge = protocJudge(join(import.meta.dirname, "proto"), [
  "trap2.proto",
  "trap3.proto",
  "trap2023.proto",
  "trap2024.proto",
]);
const began = performance.now();
const report = fuzz(codecs, judge, { inputs, seed });
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(`${report.inputs} inputs from seed ${seed} in ${seconds} s`);
console.log(`${report.valid} messages of protobuf-es read and written alike`);
console.log(`${report.refused} changed inputs refused by both, ${report.equal} read alike`);
const explained = [...report.explained].sort(([, one], [, other]) => other - one);
const sum = explained.reduce((total, [, count]) => total + count, 0);
console.log(`${sum} read otherwise than by protobuf-es, and explained:`);
for (const [what, count] of explained) console.log(`  ${count} ${what}`);
console.log(`${report.failures.length} unexplained`);
for (const failure of report.failures) console.error(failure);
process.exitCode = report.failures.length > 0 ? 1 : 0;
