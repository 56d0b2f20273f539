import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type BuildOptions, build, buildSync } from "esbuild";

const banner = [
  "#!/usr/bin/env node",
  // CommonJS modules in the bundle load Node's own modules by it.
  'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);',
];

const packages = join(import.meta.dirname, "../../node_modules");
/** Reads WebAssembly from a file next to it. */
const wasm = join(packages, "@platformatic/wasm-utils/dist/index.js");

function options(entry: string, outfile: string) {
  return {
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outfile,
    conditions: ["@micro-es/source"],
    // A program that was generated has no packages above it.
    nodePaths: [packages],
    alias: { "@platformatic/wasm-utils": wasm },
    external: ["classic-level", wasm],
    banner: { js: banner.join("\n") },
    logLevel: "error",
  } satisfies BuildOptions;
}

/**
 * Makes one file of a program and all that it imports, from the sources, so that it starts at once.
 *
 * @param entry its TypeScript, wherever it is
 * @param outfile an `.mjs` that can be executed
 */
export async function bundleProgram(entry: string, outfile: string): Promise<void> {
  await build({ ...options(entry, outfile), sourcemap: "inline" });
  chmodSync(outfile, 0o755);
}

let folder: string | undefined;
const bundled = new Map<string, string>();

/**
 * The bundle of a program, which is made once per process and removed with it. Node runs it in a
 * third of the time that it takes to load the sources one by one.
 */
export function bundleOf(entry: string): string {
  let outfile = bundled.get(entry);
  if (outfile !== undefined) return outfile;
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "micro-es-programs-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  outfile = join(folder, `${bundled.size}-${basename(entry, ".ts")}.mjs`);
  buildSync(options(entry, outfile));
  bundled.set(entry, outfile);
  return outfile;
}
