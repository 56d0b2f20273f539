import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { commandPath } from "../command-path.ts";
import { UsageError } from "../errors.ts";
import { withModules } from "./modules.ts";

const run = promisify(execFile);

/**
 * Exit status of buf if it found something, in contrast to a failure; schemas that do not compile
 * also have it.
 */
const foundSomething = 100;

/**
 * Runs buf on a project, like its npm scripts. Resolves with the printed lines of findings.
 * Generated files go into the project, unless `--output` names another folder.
 *
 * @throws UsageError if buf is not installed, and with its message if it fails.
 */
export async function runBuf(args: readonly string[], project: string): Promise<readonly string[]> {
  const env = { ...process.env, PATH: commandPath(process.env, project) };
  return withModules(project, async (cwd) => {
    const elsewhere = args[0] === "generate" && !args.includes("--output") && cwd !== project;
    const output = elsewhere ? ["--output", project] : [];
    try {
      await run("buf", [...args, ...output], { cwd, env, maxBuffer: 64 * 1024 * 1024 });
      return [];
    } catch (reason) {
      const { code, stdout, stderr } = reason as {
        readonly code?: unknown;
        readonly stdout?: string;
        readonly stderr?: string;
      };
      if (code === "ENOENT") throw new UsageError("this needs buf: npm i -D @bufbuild/buf");
      if (code === foundSomething && args[0] !== "generate")
        return stdout?.trim().split("\n") ?? [];
      throw new UsageError(
        `buf ${args[0]} fails in ${project}:\n${(stderr || stdout || String(reason)).trim()}`,
      );
    }
  });
}
