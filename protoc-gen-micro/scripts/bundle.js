/**
 * Joins each of the plugins, protoc's and buf's, and what `micro` asks of schemas, with what it imports into one file, for the package. protoplugin imports a whole
 * TypeScript, for plugins that do not write all targets themselves; this one does, and starts in a fraction of the time without it.
 * `npm pack` puts the files where the bins look for the plugins, and the next `tsc -b` writes those anew.
 *
 * `node scripts/bundle.js [<folder>]`
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const given = process.argv[2];
const folder = given ?? dist;

if (given === undefined) rmSync(dist, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ["main", "buf-plugin", "schema"].map((name) => join(root, `src/${name}.ts`)),
  outdir: folder,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  banner: { js: notices() },
  // What a file without imports and exports is, tools guess by words such as `require` in its texts.
  footer: { js: "export {};" },
  plugins: [{ name: "without TypeScript", setup: withoutTypeScript }],
  logLevel: "warning",
});

/** Transpiling is what protoplugin has TypeScript for, and is never asked to do. */
function withoutTypeScript({ onLoad }) {
  onLoad({ filter: /protoplugin.dist.esm.transpile\.js$/ }, () => ({
    contents: `export function transpile() { throw new Error("protoc-gen-micro writes every target itself"); }`,
  }));
}

/** The notices of the packages that are in the file. */
function notices() {
  const packages = ["@bufbuild/protobuf", "@bufbuild/protoplugin"].map((name) => {
    const { version, license } = JSON.parse(
      readFileSync(packageFile(name, "package.json"), "utf8"),
    );
    return `// ${name} ${version}, Copyright Buf Technologies, Inc., ${license.replace(/[()]/g, "")}`;
  });
  const varint = readFileSync(packageFile("@bufbuild/protobuf", "dist/esm/wire/varint.js"), "utf8");
  const [google = ""] = /^(\/\/.*\n)+/.exec(varint) ?? [];
  return `// Contains:\n${packages.join("\n")}\n// and in the former:\n${google}`;
}

function packageFile(name, path) {
  const main = fileURLToPath(import.meta.resolve(name));
  return join(
    main.slice(0, main.lastIndexOf(join("node_modules", name))),
    "node_modules",
    name,
    path,
  );
}
