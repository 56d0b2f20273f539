import { execFile } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { goTool } from "../../support/go-tool.ts";
import { planted } from "./planted.ts";
import { type Connections, serveHttp2 } from "./server.ts";

/**
 * `npm run interop -- h2spec`: the cases of h2spec for HTTP/2 and HPACK, including the strict ones,
 * against a server on the HTTP/2 of the runtime. With `--plant`, against servers with a mistake
 * each, which must be found.
 */

const version = "2.2.1+incompatible";
/** More or fewer cases mean another h2spec. */
const expectedCases = 146;

const { values } = parseArgs({ options: { plant: { type: "boolean", default: false } } });

const program = await goTool("github.com/summerwind/h2spec/cmd/h2spec", version);
if (program === undefined) {
  console.error("H2SPEC SKIPPED: there is no Go to build h2spec with");
  process.exit(process.env.CI === "true" ? 1 : 0);
}
if (values.plant) {
  for (const { mistake, Connection, section } of planted) {
    // Only the cases that must fail: each failure waits for its timeout.
    const { report } = await run(Connection, `http2/${section}`);
    const found = failedSections(report).includes(section);
    if (!found) process.exitCode = 1;
    console.log(`${found ? "found " : "MISSED"} ${mistake}`);
  }
} else {
  const { passed, report } = await run();
  const isComplete = passed === expectedCases;
  if (!isComplete) {
    console.error(report);
    process.exitCode = 1;
  }
  console.log(`${isComplete ? "ok    " : "FAILED"} ${passed} of ${expectedCases} cases passed`);
}

async function run(
  Connection?: Connections,
  ...sections: readonly string[]
): Promise<{ passed: number; report: string }> {
  const server = await serveHttp2(Connection);
  const { port } = server.address() as AddressInfo;
  try {
    const child = execFile(program!, [
      "--strict",
      "-h",
      "127.0.0.1",
      "-p",
      `${port}`,
      "-o",
      "5",
      ...sections,
    ]);
    let report = "";
    for (const output of [child.stdout, child.stderr]) {
      output?.on("data", (text: string) => {
        report += text;
      });
    }
    await once(child, "close");
    const [, tests, passed] = /(\d+) tests, (\d+) passed/.exec(report) ?? [];
    return { passed: Number(tests) === expectedCases ? Number(passed) : 0, report };
  } finally {
    server.close();
  }
}

/** The sections of the specification whose cases failed. */
function failedSections(report: string): string[] {
  const failures = report.slice(report.indexOf("\nFailures:"));
  return [...failures.matchAll(/^ *(\d+(?:\.\d+)*)\. /gm)].map(([, section]) => section!);
}
