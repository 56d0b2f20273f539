/**
 * Joins the files of dist into few, for the package: Node takes about as long to find and link a module as to run it,
 * and the runtime has some three hundred. What is loaded later, such as mDNS and HTTP, stays apart. It runs on
 * `npm pack` only; the next `tsc -b` writes all files again.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";
import { minify, parse } from "rolldown/utils";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const files = readdirSync(dist, { recursive: true }).filter((file) => file.endsWith(".js"));
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = Object.values(exports)
  .map((it) => (typeof it === "string" ? it : it.default))
  .filter((file) => file.startsWith("./dist/") && !file.includes("*"))
  .map((file) => file.slice("./dist/".length));
const generated = files.filter((file) => file.startsWith("gen/"));
/** What generated code imports is loaded without the rest, and everything else not without the core. */
const alone = [
  "index.js",
  "codegen-v1/index.js",
  "codegen-v1/reflect.js",
  "codegen-v1/topic.js",
  "codegen-v1/well-known.js",
  // The core computes constants from the codes when it is loaded, so they come before it.
  "base/codes.js",
];
/** Packages that become part of ours, so they are not among its dependencies. */
const inlined = ["dns-packet", "@leichtgewicht/ip-codec"];

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
  // A third of the package would be indentation.
  minifyWhitespace: true,
  minifySyntax: true,
  plugins: [onTopOfTheCore(entries.filter((file) => !alone.includes(file))), packages()],
  metafile: true,
  logLevel: "warning",
  // The import of the core below is left out again of what is written, and has counted by then.
  logOverride: { "ignored-bare-import": "silent" },
});
const written = new Set(
  Object.keys(metafile.outputs).map((file) => relative(dist, join(dist, file))),
);
for (const file of files) {
  if (!written.has(file)) rmSync(join(dist, file));
}
for (const file of written) await shortenLocalNames(join(dist, file));
writeFileSync(join(dist, "third-party-licenses.txt"), inlined.map(licenseOf).join("\n\n"));
// The sources stay in the repository: with them the package would be twice as large.
const types = reachableTypes([...entries, ...generated].map(typesOf));
for (const file of readdirSync(dist, { recursive: true })) {
  if (/\.map$|\.tsbuildinfo$/.test(file)) rmSync(join(dist, file));
  else if (file.endsWith(".d.ts")) {
    if (types.has(file)) writeFileSync(join(dist, file), withoutSourceMap(file));
    else rmSync(join(dist, file));
  }
}

function licenseOf(name) {
  const text = readFileSync(join(root, "../node_modules", name, "LICENSE"), "utf8");
  return `${name}\n\n${text.trim()}\n`;
}

/** Local variables get short names; those of functions and classes stay, for stack traces. */
async function shortenLocalNames(file) {
  const { code, errors } = await minify(file, readFileSync(file, "utf8"), {
    module: true,
    compress: false,
    mangle: { toplevel: true, keepNames: { function: true, class: true } },
    codegen: { removeWhitespace: true },
  });
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  writeFileSync(file, await inLines(file, code));
}

/** One statement or class member a line: Node prints the line of an uncaught error, which could be 400 KB. */
async function inLines(file, code) {
  const { program } = await parse(file, code);
  const starts = program.body.flatMap((statement) => [statement.start, ...membersIn(statement)]);
  return starts.map((start, index) => code.slice(start, starts[index + 1])).join("\n");
}

/** Where the members of a declared class begin. */
function membersIn({ type, body, declarations }) {
  if (type === "ClassDeclaration") return body.body.map(({ start }) => start);
  if (type !== "VariableDeclaration") return [];
  return declarations.flatMap(({ init }) =>
    init?.type === "ClassExpression" ? init.body.body.map(({ start }) => start) : [],
  );
}

function typesOf(file) {
  return file.replace(/\.js$/, ".d.ts");
}

function withoutSourceMap(file) {
  return readFileSync(join(dist, file), "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
}

/** The declarations that those of the entries import, directly or not; others are never read. */
function reachableTypes(entries) {
  const found = new Set();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    // Examples in comments import as well.
    const text = readFileSync(join(dist, file), "utf8").replaceAll(/\/\*.*?\*\//gs, "");
    for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g)) {
      open.push(join(dirname(file), typesOf(specifier.replace(/\.ts$/, ".js"))));
    }
  }
  return found;
}

/**
 * Lets other entries, and what is loaded later, import the core. A file goes into one chunk with those that the same
 * entries need: so all of the core becomes one chunk, instead of one for each set of entries that share a file. It
 * includes what generated code needs, because opening three more files takes longer than parsing it.
 */
function onTopOfTheCore(entries) {
  const above = new Set(entries.map((file) => join(dist, file)));
  const core = join(dist, "index.js");
  const forGenerated = join(dist, "codegen-v1/index.js");
  return {
    name: "on top of the core",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\./ }, ({ path, kind, resolveDir }) => {
        if (kind === "dynamic-import") above.add(join(resolveDir, path));
        return undefined;
      });
      onLoad({ filter: /\.js$/ }, ({ path }) => {
        const needed = path === core ? forGenerated : above.has(path) ? core : undefined;
        if (needed === undefined) return undefined;
        return { contents: `${readFileSync(path, "utf8")}\nimport ${JSON.stringify(needed)};` };
      });
    },
  };
}

/**
 * Packages are imported, but for the inlined ones: a small one of old CommonJS would take longer to load than all of
 * the runtime.
 */
function packages() {
  return {
    name: "packages",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === "entry-point" || inlined.includes(path)) return undefined;
        // Node's `require` is not there in an ES module.
        if (kind === "require-call") return { path, namespace: "required" };
        return { path, external: true };
      });
      onLoad({ filter: /./, namespace: "required" }, ({ path }) => ({
        contents: `export * from "node:${path}";`,
      }));
    },
  };
}
