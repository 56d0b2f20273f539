import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { googleImage, somePaths } from "../../codec/google-image.ts";
import { bundled, pluginRuns, type Target } from "./codegen-plugins.ts";
import { typeChecks } from "./codegen-types.ts";
import { shareOfGoals } from "./guard.ts";

/**
 * `npm run bench -- codegen`: the time of the plugin, including codecs, compared with protoc-gen-es
 * on the same input, and the additional cost of its output for the type checker. The input is
 * Google's APIs: some of them or, with `--all`, the whole tree. `--json` prints a line for each
 * figure; `--check` exits with 1 when a goal is missed, `--guard` when it is missed by far.
 * `--target` measures one target, `--repeat N` sets the number of runs, `--keep` keeps the output.
 */

interface Figure {
  readonly what: string;
  readonly target: Target;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  /** The allowed multiple of protoc-gen-es' figure; undefined if the figure is only informative. */
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
    // For TypeScript the type checker reads the code of codecs, which alone exceeds the goal.
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
  if (!json) console.log(`${files} files; with codec=fast, compared with protoc-gen-es alone`);
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
