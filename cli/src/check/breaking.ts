import { execFile } from "node:child_process";
import { access, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { modulePaths } from "../breaking/source-paths.ts";
import { UsageError } from "../command.ts";
import { runBuf } from "./run-buf.ts";

const run = promisify(execFile);

/** What came of comparing a schema with an older one. */
export interface Breaking {
  /** The git reference it was compared with; undefined when there is none to compare with. */
  readonly against: string | undefined;
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
  const against = reference ?? (await mainBranch(project));
  if (against === undefined) return { against, changes: [] };
  const scratch = await mkdtemp(join(tmpdir(), "micro-breaking-"));
  try {
    await checkOut(project, against, scratch);
    await linkModules(project, scratch);
    return { against, changes: await runBuf(["breaking", "--against", scratch], project) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function mainBranch(project: string): Promise<string | undefined> {
  for (const branch of mainBranches) {
    const found = await run("git", ["rev-parse", "--verify", "--quiet", branch], {
      cwd: project,
    }).then(
      () => true,
      () => false,
    );
    if (found) return branch;
  }
  return undefined;
}

/** Lays the project's files, as they were at the reference, into a folder. */
async function checkOut(project: string, reference: string, folder: string): Promise<void> {
  const archive = join(folder, ".archive.tar");
  try {
    await run("git", ["archive", "--format=tar", "-o", archive, reference, "."], { cwd: project });
  } catch (reason) {
    const { stderr } = reason as { stderr?: string };
    throw new UsageError(`git has no ${reference} to compare with: ${stderr?.trim() ?? reason}`);
  }
  await run("tar", ["-xf", archive, "-C", folder]);
  await rm(archive);
}

/** Modules that git does not keep, as those of packages, are taken from the project itself. */
async function linkModules(project: string, folder: string): Promise<void> {
  for (const path of await modulePaths(project)) {
    if (await exists(join(folder, path))) continue;
    const [top = ""] = path.split("/");
    const link = join(folder, top);
    if ((await exists(join(project, top))) && !(await exists(link))) {
      await symlink(join(project, top), link, "dir");
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
