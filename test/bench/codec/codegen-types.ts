import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { strictConfig } from "../../../protoc-gen-micro/test/support/workspace.ts";
import type { Target } from "./codegen-plugins.ts";

/** The cost of a type check. */
export interface Check {
  readonly seconds: number;
  readonly megabytes: number;
}

const root = join(import.meta.dirname, "../../..");
const tsc = join(root, "node_modules/.bin/tsc");

/**
 * Type-checks the output of protoc-gen-es, alone and together with that of protoc-gen-micro,
 * alternately. The runtime's declarations, which the latter imports, are built first and count for
 * it.
 */
export function typeChecks(
  output: string,
  target: Target,
  repeats: number,
): { alone: Check; both: Check } {
  const build = spawnSync(tsc, ["-b", "runtime"], { cwd: root, encoding: "utf8" });
  if (build.status !== 0) throw new Error(`the runtime does not build: ${build.stdout}`);
  const folders = ["es", "both"].map((name) => join(output, name));
  const config = strictConfig({
    customConditions: [],
    // For js+dts only declarations can be checked.
    skipLibCheck: target === "ts",
    // The fetch types that Connect's declarations need.
    lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"],
    erasableSyntaxOnly: false,
    isolatedDeclarations: false,
    declaration: false,
  });
  const checks = folders.map((folder) => ({ folder, results: [] as Check[] }));
  for (const { folder } of checks) {
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  }
  for (let i = 0; i < repeats; i++) {
    for (const { folder, results } of checks) results.push(typeCheck(folder));
  }
  const [alone, both] = checks.map(({ results }) => ({
    seconds: Math.min(...results.map(({ seconds }) => seconds)),
    megabytes: Math.min(...results.map(({ megabytes }) => megabytes)),
  }));
  return { alone: alone!, both: both! };
}

function typeCheck(folder: string): Check {
  const args = ["-p", ".", "--pretty", "false", "--extendedDiagnostics"];
  const { stdout } = spawnSync(tsc, args, { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 });
  // Only generated code is measured; third-party declarations have errors of their own.
  const errors = stdout
    .split("\n")
    .filter((line) => /error TS/.test(line) && !line.startsWith(".."));
  if (errors.length > 0) throw new Error(errors.slice(0, 5).join("\n"));
  return {
    seconds: Number(/Total time:\s+([\d.]+)s/.exec(stdout)?.[1]),
    megabytes: Number(/Memory used:\s+(\d+)K/.exec(stdout)?.[1]) / 1024,
  };
}
