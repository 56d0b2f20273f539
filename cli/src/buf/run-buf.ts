import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { UsageError } from "../command.ts";
import { commandPath } from "../command-path.ts";
import { withModules } from "./modules.ts";

const run = promisify(execFile);

/** Status with which buf says that it found something, and not that it failed; but for a schema that does not compile. */
const foundSomething = 100;

/**
 * Runs buf on a project, as its npm scripts would. Resolves with the lines that it printed of what it found. What it
 * generates goes into the project, where `--output` names no other folder.
 *
 * @throws UsageError when there is no buf, and with its words when it fails.
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
