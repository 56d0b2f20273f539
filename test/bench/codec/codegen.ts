import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { googleImage, somePaths } from "../../codec/google-image.ts";
import { bundled, pluginRuns, type Target } from "./codegen-plugins.ts";
import { typeChecks } from "./codegen-types.ts";
import { shareOfGoals } from "./guard.ts";

/**
 * `npm run bench:codegen`: how long the plugin takes, codecs included, beside protoc-gen-es on the same input, and what
 * its output costs the type checker on top of protoc-gen-es'. Google's APIs are the input, some of them or,
 * with `--all`, the whole tree. `--json` prints a line a figure; `--check` ends with status 1 when one is missed, `--guard`
 * when it is missed by far. `--target` measures one target, `--repeat N` as often, `--keep` keeps the output.
 */

interface Figure {
  readonly what: string;
  readonly target: Target;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  /** The most that ours may be, in multiples of theirs; undefined where there is only the number to know. */
  readonly goal?: number;
}

const pluginGoal = 0.5;
const typesGoal = 1.5;

const words = process.argv.slice(2);
const option = (name: string) =>
  words.includes(name) ? words[words.indexOf(name) + 1] : undefined;
const repeats = Number(option("--repeat") ?? 5);
const targets = (["js+dts", "ts"] as const).filter(
  (target) => (option("--target") ?? target) === target,
);
const root = join(import.meta.dirname, "../../..");
mkdirSync(join(root, ".cache"), { recursive: true });
const folder = mkdtempSync(join(root, ".cache/codegen-"));
try {
  report(bench());
} finally {
  if (!words.includes("--keep")) rmSync(folder, { recursive: true, force: true });
}

function bench(): { files: number; figures: Figure[] } {
  const image = googleImage(folder, words.includes("--all") ? [] : somePaths, "with comments");
  rmSync(join(folder, "proto"), { recursive: true });
  const plugin = bundled(folder);
  const figures: Figure[] = [];
  let files = 0;
  for (const target of targets) {
    const output = join(folder, target);
    const runs = pluginRuns(image, target, plugin, output, repeats);
    files = runs.files;
    figures.push({
      what: "plugin time",
      target,
      unit: "s",
      ours: runs.micro,
      theirs: runs.es,
      goal: pluginGoal,
    });
    const { alone, both } = typeChecks(output, target, Math.min(repeats, 3));
    // The type checker reads the code of codecs where they are TypeScript, and that alone is more than the goal.
    const goal = target === "ts" ? {} : { goal: typesGoal };
    figures.push({
      what: "type check time",
      target,
      unit: "s",
      ours: both.seconds,
      theirs: alone.seconds,
      ...goal,
    });
    figures.push({
      what: "type check memory",
      target,
      unit: "MB",
      ours: both.megabytes,
      theirs: alone.megabytes,
      ...goal,
    });
  }
  return { files, figures };
}

function report({ files, figures }: { files: number; figures: readonly Figure[] }): void {
  const json = words.includes("--json");
  if (!json) console.log(`${files} files; with codec=fast, beside protoc-gen-es alone`);
  const share = shareOfGoals(words);
  for (const figure of figures) {
    const { what, target, unit, ours, theirs, goal } = figure;
    const times = ours / theirs;
    if (json) console.log(JSON.stringify({ ...figure, times }));
    else {
      const numbers = `${ours.toFixed(2)} ${unit} to ${theirs.toFixed(2)} ${unit}`;
      const aim = goal === undefined ? "" : `, goal ${goal}`;
      console.log(
        `${what.padEnd(20)}${target.padEnd(10)}${numbers.padEnd(28)}${times.toFixed(2)} times${aim}`,
      );
    }
    if (share === undefined || goal === undefined || times * share <= goal) continue;
    console.error(`MISSED ${what}, target=${target}: ${times.toFixed(2)} times, not ${goal}`);
    process.exitCode = 1;
  }
}
