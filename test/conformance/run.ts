import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { compile, generate, protocGenEs } from "../../protoc-gen-micro/test/support/compile.ts";
import { bundleProgram } from "../support/bundle.ts";
import { conformanceRunner, NoRunner, type Runner } from "./runner.ts";

/**
 * `npm run interop -- conformance`: Google's conformance tests on the generated codecs. Twice, the
 * second time with protobuf-es as the encoder, so that an error of the decoder cannot be undone by
 * one of the encoder. With `--plant`, once and with an error in it, which must be found.
 */

/**
 * Tests of the binary and the JSON format that the runner has. More or fewer means another runner.
 */
const expectedTests = 5567;

const passes = process.argv.includes("--plant")
  ? [{ name: "with a planted error", encode: "planted error" }]
  : [
      { name: "fast decode, fast encode", encode: "fast" },
      { name: "fast decode, reflective encode", encode: "reflect" },
    ];

let runner: Runner;
try {
  runner = conformanceRunner();
} catch (error) {
  if (!(error instanceof NoRunner)) throw error;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  console.error(`CONFORMANCE SKIPPED: ${error.message}${cause}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const folder = mkdtempSync(join(tmpdir(), "micro-es-conformance-"));
try {
  const testee = await buildTestee(runner.protos, folder);
  let failed = false;
  const summary: string[] = [];
  for (const { name, encode } of passes) {
    const { passed, report } = runPass(runner, testee, encode);
    const ok = passed === expectedTests;
    failed ||= !ok;
    if (!ok) console.error(report);
    summary.push(`${ok ? "ok    " : "FAILED"} ${name}: ${passed} of ${expectedTests} tests passed`);
  }
  console.log(summary.join("\n"));
  process.exitCode = failed ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Generates codecs for the runner's messages and bundles the testee with them. */
async function buildTestee(protos: string, out: string): Promise<string> {
  const sources: Record<string, string> = {};
  for (const name of readdirSync(protos, { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".proto")) sources[name] = readFileSync(join(protos, name), "utf8");
  }
  const compiled = compile(sources, { withOptions: false });
  const names = Object.keys(sources);
  const parameter = "target=ts,import_extension=ts";
  for (const [name, text] of [
    ...generate(compiled.request(names, parameter), protocGenEs),
    ...generate(compiled.request(names, `${parameter},codec=fast`)),
  ]) {
    mkdirSync(dirname(join(out, name)), { recursive: true });
    writeFileSync(join(out, name), text);
  }
  const entry = join(out, "main.ts");
  writeFileSync(entry, entrySource(names));
  const testee = join(out, "testee.mjs");
  await bundleProgram(entry, testee);
  return testee;
}

/** The module that hands what was generated to the testee. */
function entrySource(names: readonly string[]): string {
  const lines = [
    `import { serve } from ${JSON.stringify(join(import.meta.dirname, "testee.ts"))};`,
    'import * as conformance from "./conformance/conformance_pb.ts";',
  ];
  const modules = names.map((name) => name.replace(/\.proto$/, ""));
  for (const [index, name] of modules.entries()) {
    lines.push(`import * as pb${index} from "./${name}_pb.ts";`);
    lines.push(`import * as micro${index} from "./${name}_micro.ts";`);
  }
  const listOf = (what: string, test: string) =>
    `[${modules.map((_, index) => `...Object.entries(${what}${index}).filter(([name]) => ${test}).map(([, it]) => it)`)}]`;
  lines.push(
    "serve({",
    "  request: conformance.ConformanceRequestSchema,",
    "  response: conformance.ConformanceResponseSchema,",
    `  codecs: ${listOf("micro", 'name.endsWith("Codecs")')}.flat(),`,
    `  files: ${listOf("pb", 'name.startsWith("file_")')},`,
    "});",
  );
  return `${lines.join("\n")}\n`;
}

function runPass(
  { command }: Runner,
  testee: string,
  encode: string,
): { passed: number; report: string } {
  const [program = "", ...before] = command;
  const args = ["--maximum_edition", "MAX", "--enforce_recommended", testee];
  const { stdout, stderr, status, error } = spawnSync(program, [...before, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, CONFORMANCE_ENCODE: encode },
    cwd: dirname(testee),
  });
  if (error !== undefined) throw error;
  const report = `${stdout}${stderr}`;
  const failures = [...report.matchAll(/(\d+) unexpected failures/g)].map(([, count]) =>
    Number(count),
  );
  const counts = [...report.matchAll(/(\d+) successes/g)].map(([, count]) => Number(count));
  const clean = status === 0 && failures.every((count) => count === 0);
  return {
    passed: clean ? counts.reduce((sum, count) => sum + count, 0) : 0,
    report: `${relative(".", program)} ended with ${status}\n${report}`,
  };
}
