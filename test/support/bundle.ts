import { build } from "esbuild";

/**
 * Makes one file of a program and all that it imports, from the sources, so that it starts at once.
 *
 * @param entry its TypeScript
 * @param outfile an `.mjs` that `node` runs
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
    external: ["classic-level"],
    // What is CommonJS in the bundle asks for Node's own modules by it.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    sourcemap: "inline",
    logLevel: "error",
  });
}
