import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { nodeVersions } from "./versions.ts";

/**
 * `npm run test:nodes`: hostile clients, and the contract of the transports, on every supported version of Node.
 * `-- --node 22` runs one of them, and names of files choose tests.
 */

const root = join(import.meta.dirname, "../..");
const words = process.argv.slice(2);
const at = words.indexOf("--node");
const only = at < 0 ? undefined : words.splice(at, 2)[1];
const summary: string[] = [];
let failed = false;
for (const { version, program } of nodeVersions(only)) {
  if (program === undefined) {
    failed ||= process.env.CI === "true";
    summary.push(`SKIPPED Node ${version}: there is no program of it for this machine`);
    continue;
  }
  const began = performance.now();
  const { status } = spawnSync(
    program,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      "vitest.nodes.config.ts",
      ...words,
    ],
    { cwd: root, stdio: "inherit" },
  );
  failed ||= status !== 0;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  summary.push(`${status === 0 ? "ok     " : "FAILED "} Node ${version} (${seconds} s)`);
}
if (summary.length === 0) {
  console.error("--node takes the major version of a Node that is supported");
  failed = true;
}
console.log(summary.join("\n"));
process.exitCode = failed ? 1 : 0;
