import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { check } from "./check.ts";
import { ignored } from "./ignored.ts";

// Checks the files of the repository, or those in the given folders and files.

const repository = join(import.meta.dirname, "../..");
const folders = process.argv.slice(2).map((path) => relative(repository, resolve(path)));

const isWanted = (file: string) =>
  folders.length === 0 ||
  folders.some((folder) => folder === "" || file === folder || file.startsWith(`${folder}/`));
const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
  cwd: repository,
  encoding: "utf8",
});
const findings = listed
  .split("\0")
  .filter((file) => /\.(?:[cm]?ts|md|proto)(?:\.hbs)?$/.test(file) && isWanted(file))
  .filter((file) => !ignored.some((pattern) => pattern.test(file)))
  .flatMap(findingsOf);
for (const { path, line, message } of findings) console.log(`${path}:${line}: ${message}`);
if (findings.length > 0) {
  console.log(`${findings.length} ${findings.length === 1 ? "finding" : "findings"}`);
  process.exitCode = 1;
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
