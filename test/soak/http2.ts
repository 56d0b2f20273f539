import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { nodeVersions } from "../nodes/versions.ts";

/**
 * `npm run fuzz -- http2`: cancels calls over HTTP/2 in every phase, from both sides, on every
 * supported Node, each in a process that must not end early. `--calls 1000000 --seed 7 --node 22`
 */

const option = (name: string) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const calls = option("calls") ?? "200000";
const seed = option("seed") ?? "1";
let failed = false;
for (const { version, program } of nodeVersions(option("node") ?? "all")) {
  if (program === undefined) {
    console.log(`SKIPPED Node ${version}: there is no program of it for this machine`);
    continue;
  }
  const began = performance.now();
  const { status, signal } = spawnSync(
    program,
    [
      "--import",
      "tsx",
      "--conditions=@micro-es/source",
      join(import.meta.dirname, "http2-process.ts"),
      calls,
      seed,
    ],
    { stdio: "inherit" },
  );
  failed ||= status !== 0;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    `${status === 0 ? "ok     " : "FAILED "} Node ${version}: ended with ${signal ?? status} after ${seconds} s`,
  );
}
process.exitCode = failed ? 1 : 0;
