import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { ownFleet } from "../support/process.ts";
import { grpcurlProgram } from "./grpcurl.ts";
import type { CaseResult } from "./matrix.ts";
import { ours } from "./peers.ts";
import { runProgram, startServer } from "./process.ts";
import { pythonWithGrpc } from "./python.ts";

const repository = join(import.meta.dirname, "../..");

/** The expected output of each line, by its first word. */
const outputs: Readonly<Record<string, RegExp>> = {
  curl: /"message":"Hello Ada"/,
  grpcurl: /rpc Hello \(|"message": "Hello Ada"/,
  chromium: /"message":"Hello Ada"/,
  python3: /^Hello Ada$/m,
  go: /^Hello Ada$/m,
  node: /^Hello Ada$/m,
};

/**
 * Runs the lines of docs/getting-started.md under "Other clients": the first starts a greeter, the
 * others call it. Skips lines whose program is not installed; the cases of that program report it.
 */
export async function runReadme(): Promise<readonly CaseResult[]> {
  const readme = readFileSync(join(repository, "docs/getting-started.md"), "utf8");
  const [, section = ""] = readme.split("\n## Other clients\n");
  const [, block = ""] = /^```\w*\n(.*?)^```$/ms.exec(section) ?? [];
  const [greeter = "", ...lines] = block.trim().split("\n");
  const python = await pythonWithGrpc();
  const setting = await terminal(python);
  const shell = (line: string) => ({
    argv: ["bash", "-c", `cd ${repository}\n${setting}\n${line}`],
    env: ownFleet(),
  });
  const started = greeter.replace("MICRO_ADDRESS=", "MICRO_LOG_LEVEL=info exec env MICRO_ADDRESS=");
  const server = await startServer(
    shell(started),
    (line) => /listens.*?(127\.0\.0\.1:\d+)/.exec(line)?.[1],
  );
  const results: CaseResult[] = [];
  try {
    for (const line of lines) {
      const word = /^\w+/.exec(line)?.[0] ?? "";
      if (word === "python3" && python === undefined) continue;
      if ((await runProgram(shell(`type ${word}`))).status !== 0) continue;
      const { status, stdout, stderr } = await runProgram(shell(line));
      const wanted = outputs[word];
      const good = status === 0 && wanted?.test(stdout) === true;
      const error = good ? undefined : `it ended with ${status} and said ${stdout}${stderr}`;
      results.push({ client: "README", server: ours.name, tls: false, name: line, error });
    }
  } finally {
    await server.stop();
  }
  return results;
}

/** Settings of a reader's terminal: tools in the path, and a browser with a window. */
async function terminal(python: string | undefined): Promise<string> {
  const grpcurl = await grpcurlProgram();
  return [
    ...(grpcurl === undefined ? [] : [`PATH=$PATH${delimiter}${dirname(grpcurl)}`]),
    "if type chromium >/dev/null 2>&1; then",
    '  chromium() { command chromium --headless --no-sandbox --disable-gpu --dump-dom "$@"; }',
    "fi",
    ...(python === undefined ? [] : [`python3() { ${python} "$@"; }`]),
  ].join("\n");
}
