/**
 * Joins the files of dist into few, for the package: Node takes about as long to find and link a module as to run it,
 * and the runtime has some three hundred. What is loaded later, such as mDNS and HTTP, stays apart. It runs on
 * `npm pack` only; the next `tsc -b` writes all files anew.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const files = readdirSync(dist, { recursive: true }).filter((file) => file.endsWith(".js"));
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = Object.values(exports)
  .map((it) => (typeof it === "string" ? it : it.default))
  .filter((file) => file.startsWith("./dist/") && !file.includes("*"))
  .map((file) => file.slice("./dist/".length));
const generated = files.filter((file) => file.startsWith("gen/"));

const { metafile } = await build({
  absWorkingDir: dist,
  entryPoints: [...entries, ...generated],
  outdir: dist,
  outbase: dist,
  allowOverwrite: true,
  chunkNames: "chunks/[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  // Small and old CommonJS, which takes longer to load than all of the runtime; everything else is imported.
  plugins: [externalBut("dns-packet", "@leichtgewicht/ip-codec")],
  banner: {
    js: 'import { createRequire as $createRequire } from "node:module"; const require = $createRequire(import.meta.url);',
  },
  metafile: true,
  logLevel: "warning",
});
const written = new Set(
  Object.keys(metafile.outputs).map((file) => relative(dist, join(dist, file))),
);
for (const file of files) {
  if (!written.has(file)) rmSync(join(dist, file));
  rmSync(join(dist, `${file}.map`), { force: true });
}
rmSync(join(dist, ".tsbuildinfo"), { force: true });

function externalBut(...inlined) {
  return {
    name: "external",
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === "entry-point" || inlined.includes(path)) return undefined;
        return { path, external: true };
      });
    },
  };
}
