import { execFileSync } from "node:child_process";

/**
 * Compares the schemas with those of the last commit on main: on a branch or with uncommitted
 * changes with its tip, on main itself with the commit before. Says so and passes where there is
 * none, as in a shallow clone.
 */
function git(...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

const head = git("rev-parse", "HEAD");
const main = git("rev-parse", "--verify", "origin/main") ?? git("rev-parse", "--verify", "main");
const changed = git("status", "--porcelain", "--", "proto") !== "";
const base =
  main !== undefined && (main !== head || changed) ? main : git("rev-parse", "--verify", "HEAD~1");
if (base === undefined || git("cat-file", "-e", `${base}:proto`) === undefined) {
  console.log("buf breaking: there is no earlier commit to compare with");
} else {
  try {
    execFileSync("buf", ["breaking", "proto", "--against", `.git#ref=${base},subdir=proto`], {
      stdio: "inherit",
    });
    console.log(`buf breaking: nothing breaks since ${base.slice(0, 12)}`);
  } catch {
    console.error(
      `buf breaking: schemas under proto break those of ${base.slice(0, 12)}; see above`,
    );
    process.exitCode = 1;
  }
}
