import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { check } from "./check.ts";
import { covered, ignored } from "./covered.ts";

// Without arguments: checks the covered files. `--all` checks files whether covered or not, in the
// folders and files that follow, or counts the findings of each folder when none follows.

const repository = join(import.meta.dirname, "../..");
const [option, ...paths] = process.argv.slice(2);
if (option !== undefined && option !== "--all") {
  console.error(`unknown option ${option}: use --all [folder…]`);
  process.exit(2);
}

const within = (file: string, folders: readonly string[]) =>
  folders.some((folder) => folder === "" || file === folder || file.startsWith(`${folder}/`));
const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
  cwd: repository,
  encoding: "utf8",
});
const files = listed.split("\0").filter((file) => /\.(?:[cm]?ts|md|proto)(?:\.hbs)?$/.test(file));
const checked = files.filter((file) => !ignored.some((pattern) => pattern.test(file)));

const folders =
  option === undefined ? covered : paths.map((path) => relative(repository, resolve(path)));
if (option === "--all" && folders.length === 0) {
  const counts = new Map<string, number>();
  for (const file of checked) {
    const folder = file.split("/").slice(0, 3).slice(0, -1).join("/") || file;
    counts.set(folder, (counts.get(folder) ?? 0) + findingsOf(file).length);
  }
  for (const [folder, count] of counts) if (count > 0) console.log(`${count}\t${folder}`);
} else {
  const findings = checked.filter((file) => within(file, folders)).flatMap(findingsOf);
  for (const { path, line, message } of findings) console.log(`${path}:${line}: ${message}`);
  if (findings.length > 0) {
    console.log(`${findings.length} ${findings.length === 1 ? "finding" : "findings"}`);
    process.exitCode = 1;
  }
}

function findingsOf(file: string) {
  try {
    return check(file, readFileSync(join(repository, file), "utf8"));
  } catch (reason) {
    // A file that was deleted but not committed is still listed.
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw reason;
  }
}
