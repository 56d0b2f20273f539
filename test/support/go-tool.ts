import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const tools = join(import.meta.dirname, "../../.tools");

/**
 * The program that `go install PACKAGE@VERSION` makes, built when it is first asked for and kept in
 * `.tools`, where test/setup puts it too. Undefined where there is no Go.
 *
 * @param version without the `v`
 */
export async function goTool(module: string, version: string): Promise<string | undefined> {
  const name = module.slice(module.lastIndexOf("/") + 1);
  const folder = join(tools, `${name}-${version}`);
  const program = join(folder, name);
  if (existsSync(program)) return program;
  const building = join(folder, `building-${process.pid}`);
  mkdirSync(building, { recursive: true });
  try {
    const env = { ...process.env, GOBIN: building, GOFLAGS: "-buildvcs=false" };
    await promisify(execFile)("go", ["install", `${module}@v${version}`], { env });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  // Other processes find the whole program or nothing.
  renameSync(join(building, name), program);
  return program;
}
