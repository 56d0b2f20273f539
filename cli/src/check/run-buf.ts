import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { UsageError } from "../command.ts";
import { commandPath } from "../command-path.ts";

const run = promisify(execFile);

/** Status with which buf says that it found something, and not that it failed; but for a schema that does not compile. */
const foundSomething = 100;

/**
 * Runs buf in a project, as its npm scripts would. Resolves with the lines that it printed of what it found.
 *
 * @throws UsageError when there is no buf, and with its words when it fails.
 */
export async function runBuf(args: readonly string[], cwd: string): Promise<readonly string[]> {
  const env = { ...process.env, PATH: commandPath(process.env, cwd) };
  try {
    await run("buf", [...args], { cwd, env, maxBuffer: 64 * 1024 * 1024 });
    return [];
  } catch (reason) {
    const {
      code,
      stdout = "",
      stderr = "",
    } = reason as {
      code?: unknown;
      stdout?: string;
      stderr?: string;
    };
    if (code === "ENOENT") throw new UsageError("this needs buf: npm i -D @bufbuild/buf");
    if (code === foundSomething && args[0] !== "generate") return stdout.trim().split("\n");
    throw new UsageError(
      `buf ${args[0]} fails in ${cwd}:\n${(stderr || stdout || String(reason)).trim()}`,
    );
  }
}
