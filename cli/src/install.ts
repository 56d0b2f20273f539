import { execFile } from "node:child_process";
import { relative } from "node:path";
import { promisify } from "node:util";
import { CommandError } from "./command.ts";

const run = promisify(execFile);

/**
 * npm waits for more than a minute before it gives up a registry that does not answer; a person who looks at it should
 * not.
 */
const patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-factor=2"];

/** Without it npm says nothing of what went wrong where it was told to be silent, as a script of `npm run --silent` finds it. */
const outspoken = "--loglevel=error";

/**
 * Installs what a project's package.json names.
 *
 * @throws CommandError `unavailable` when npm reaches no registry, `unknown` with its words for all else.
 */
export async function installPackages(folder: string, signal: AbortSignal): Promise<void> {
  try {
    await run("npm", ["install", "--no-audit", "--no-fund", outspoken, ...patience], {
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024,
      signal,
    });
  } catch (reason) {
    const { code, stderr = "" } = reason as { code?: unknown; stderr?: string };
    const name = relative(process.cwd(), folder) || ".";
    const what = `${name} is written, but its packages are not installed`;
    const remedy = `\`cd ${name} && npm install\` goes on`;
    if (code === "ENOENT") {
      throw new CommandError("unknown", `${what}: there is no npm; ${remedy} where there is`);
    }
    const network = /code (E[A-Z_]+)\n[\s\S]*request to (https?:\/\/[^/\s]+)/.exec(stderr);
    if (network !== null) {
      throw new CommandError(
        "unavailable",
        `${what}: npm cannot reach its registry at ${network[2]} (${network[1]}); ${remedy} when there is a network, or another registry (\`npm config set registry\`)`,
      );
    }
    const words = stderr.trim().replaceAll(/^npm (error|ERR!) ?/gm, "");
    throw new CommandError("unknown", `${what}; ${remedy} when this is mended:\n${words}`);
  }
}
