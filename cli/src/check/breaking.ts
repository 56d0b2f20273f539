import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { modulePlaces } from "../buf/modules.ts";
import { runBuf } from "../buf/run-buf.ts";
import { UsageError } from "../command.ts";
import { exists } from "../files.ts";

const run = promisify(execFile);

/** What came of comparing a schema with an older one. */
export interface Breaking {
  /** The git reference it was compared with; undefined when there is nothing to compare with. */
  readonly against: string | undefined;
  /** Why there is nothing to compare with; undefined where there is. */
  readonly uncompared?: string;
  /** A line a change that would break callers or subscribers: file, position, what. */
  readonly changes: readonly string[];
}

/** Branches that a change is compared with when none is named; the first that is there. */
const mainBranches = ["origin/main", "main", "origin/master", "master"];

/**
 * Compares the schema with the one at a git reference, or else at the main branch.
 *
 * @throws UsageError for a reference that is not there.
 */
export async function breakingChanges(
  project: string,
  reference: string | undefined,
): Promise<Breaking> {
  const problem = await gitProblem(project);
  if (reference !== undefined && !(await knowsGit(project, `${reference}^{tree}`))) {
    const why = problem ?? "`git fetch --tags` brings what another repository has";
    throw new UsageError(`git has no ${reference} to compare with: ${why}`);
  }
  if (problem !== undefined) return nothing(problem);
  const against = reference ?? (await mainBranch(project));
  if (against === undefined) {
    return nothing(`git has none of ${mainBranches.join(", ")}; --against names another`);
  }
  const isNew = nothing(`it is not in ${against} yet`);
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

/** Why git cannot have an older schema, in its own words; undefined where it can. */
async function gitProblem(folder: string): Promise<string | undefined> {
  try {
    await run("git", ["rev-parse", "--git-dir"], { cwd: folder });
  } catch (reason) {
    const { code, stderr } = reason as { readonly code?: unknown; readonly stderr?: string };
    if (code === "ENOENT") return "there is no git";
    return stderr?.split("\n")[0]?.replace(/^fatal: /, "") ?? String(reason);
  }
  return (await knowsGit(folder, "HEAD")) ? undefined : "the git repository has no commit yet";
}

async function mainBranch(project: string): Promise<string | undefined> {
  for (const branch of mainBranches) if (await knowsGit(project, branch)) return branch;
  return undefined;
}

/** Whether git, as it is seen from a folder, has an object of this name. */
async function knowsGit(folder: string, object: string): Promise<boolean> {
  try {
    await run("git", ["rev-parse", "--verify", "--quiet", object], { cwd: folder });
    return true;
  } catch {
    return false;
  }
}

/** Lays the project's files, as they were at the reference, into a folder. */
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

/** Modules that git does not keep, as those of packages, are taken from where the project has them. */
async function linkModules(project: string, folder: string): Promise<void> {
  for (const [path, place] of await modulePlaces(project)) {
    const link = join(folder, path);
    if ((await exists(link)) || !(await exists(place))) continue;
    await mkdir(dirname(link), { recursive: true });
    await symlink(place, link, "dir");
  }
}
