import { execFile } from "node:child_process";
import { relative } from "node:path";
import { promisify } from "node:util";
import { CommandError } from "./errors.ts";

const run = promisify(execFile);

/**
 * npm retries an unresponsive registry for more than a minute, which is too long for a user who
 * waits.
 */
const patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-factor=2"];

/** Otherwise npm hides errors if it is silent, for example within `npm run --silent`. */
const outspoken = "--loglevel=error";

/**
 * Installs the packages in a project's package.json.
 *
 * @throws CommandError `unavailable` if npm reaches no registry, `unknown` with its message for
 * other failures.
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
    const what = `${name} was created, but its packages are not installed`;
    const next = `\`cd ${name} && npm install\` continues`;
    if (code === "ENOENT") {
      throw new CommandError("unknown", `${what}: npm is not installed; ${next} once it is`);
    }
    const network = /code (E[A-Z_]+)\n[\s\S]*request to (https?:\/\/[^/\s]+)/.exec(stderr);
    if (network !== null) {
      throw new CommandError(
        "unavailable",
        `${what}: npm cannot reach its registry at ${network[2]} (${network[1]}); ${next} with a network, or another registry (\`npm config set registry\`)`,
      );
    }
    const words = stderr.trim().replaceAll(/^npm (error|ERR!) ?/gm, "");
    throw new CommandError("unknown", `${what}; ${next} once this is fixed:\n${words}`);
  }
}
