import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const banner = [
  "#!/usr/bin/env node",
  // What is CommonJS in the bundle asks for Node's own modules by it.
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
];

/**
 * Makes one file of a program and all that it imports, from the sources, so that it starts at once.
 *
 * @param entry its TypeScript, wherever it is
 * @param outfile an `.mjs` that can be executed
 */
export async function bundleProgram(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outfile,
    conditions: ["@micro-es/source"],
    // A program that was generated has no packages above it.
    nodePaths: [join(import.meta.dirname, "../../node_modules")],
    external: ["classic-level"],
    banner: { js: banner.join("\n") },
    sourcemap: "inline",
    logLevel: "error",
  });
  await chmod(outfile, 0o755);
}
