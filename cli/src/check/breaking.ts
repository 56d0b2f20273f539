import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { modulePlaces } from "../buf/modules.ts";
import { runBuf } from "../buf/run-buf.ts";
import { UsageError } from "../errors.ts";
import { exists } from "../files.ts";

const run = promisify(execFile);

/** Result of comparing a schema with an older one. */
export interface Breaking {
  /** The compared git reference; undefined if there is nothing to compare with. */
  readonly against: string | undefined;
  /** Why there is nothing to compare with; undefined if there is. */
  readonly uncompared?: string;
  /**
   * Whether the reference exists but does not contain the schema yet, so that no program can depend
   * on one.
   */
  readonly isNew?: boolean;
  /** One line per change that would break callers or subscribers: file, position, description. */
  readonly changes: readonly string[];
}

/** Default branches to compare with; the first that exists is used. */
const mainBranches = ["origin/main", "main", "origin/master", "master"];

/**
 * Compares the schema with a git reference, or else with the main branch.
 *
 * @throws UsageError for a reference that does not exist.
 */
export async function breakingChanges(
  project: string,
  reference: string | undefined,
): Promise<Breaking> {
  const problem = await gitProblem(project);
  if (reference !== undefined && !(await knowsGit(project, `${reference}^{tree}`))) {
    const why = problem ?? "`git fetch --tags` fetches the references of another repository";
    throw new UsageError(`git has no ${reference} to compare with: ${why}`);
  }
  if (problem !== undefined) return nothing(problem);
  const against = reference ?? (await mainBranch(project));
  if (against === undefined) {
    return nothing(
      (await isShallow(project))
        ? "the clone is shallow and has no main branch; run `git fetch origin main` (`fetch-depth: 0` of actions/checkout)"
        : `git has none of ${mainBranches.join(", ")}; use --against for another one`,
    );
  }
  const isNew: Breaking = { ...nothing(`it is not in ${against} yet`), isNew: true };
  if (!(await knowsGit(project, `${against}:./`))) return isNew;
  const scratch = await mkdtemp(join(tmpdir(), "micro-breaking-"));
  try {
    await checkOut(project, against, scratch);
    if (!(await hasSchema(scratch))) return isNew;
    await linkModules(project, scratch);
    return { against, changes: await runBuf(["breaking", "--against", scratch], project) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function nothing(uncompared: string): Breaking {
  return { against: undefined, uncompared, changes: [] };
}

/** Why git cannot have an older schema, in its own words; undefined if it can. */
async function gitProblem(folder: string): Promise<string | undefined> {
  try {
    await run("git", ["rev-parse", "--git-dir"], { cwd: folder });
  } catch (reason) {
    const { code, stderr } = reason as { readonly code?: unknown; readonly stderr?: string };
    if (code === "ENOENT") return "git is not installed";
    return stderr?.split("\n")[0]?.replace(/^fatal: /, "") ?? String(reason);
  }
  return (await knowsGit(folder, "HEAD")) ? undefined : "the git repository has no commit yet";
}

async function isShallow(folder: string): Promise<boolean> {
  const { stdout } = await run("git", ["rev-parse", "--is-shallow-repository"], { cwd: folder });
  return stdout.trim() === "true";
}

async function mainBranch(project: string): Promise<string | undefined> {
  for (const branch of mainBranches) if (await knowsGit(project, branch)) return branch;
  return undefined;
}

/** Whether git, run in a folder, knows an object of this name. */
async function knowsGit(folder: string, object: string): Promise<boolean> {
  try {
    await run("git", ["rev-parse", "--verify", "--quiet", object], { cwd: folder });
    return true;
  } catch {
    return false;
  }
}

/** Writes the project's files at the reference into a folder. */
async function checkOut(project: string, reference: string, folder: string): Promise<void> {
  const archive = join(folder, ".archive.tar");
  await run("git", ["archive", "--format=tar", "-o", archive, reference, "."], { cwd: project });
  await run("tar", ["-xf", archive, "-C", folder]);
  await rm(archive);
}

async function hasSchema(folder: string): Promise<boolean> {
  const files = await readdir(folder, { recursive: true });
  return files.some((file) => file.endsWith(".proto"));
}

/** Modules that are not in git, such as those of packages, are used from the project. */
async function linkModules(project: string, folder: string): Promise<void> {
  for (const [path, place] of await modulePlaces(project)) {
    const link = join(folder, path);
    if ((await exists(link)) || !(await exists(place))) continue;
    await mkdir(dirname(link), { recursive: true });
    await symlink(place, link, "dir");
  }
}
