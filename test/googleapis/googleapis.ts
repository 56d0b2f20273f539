/**
 * Generates code for Google's public APIs with protoc-gen-es and protoc-gen-micro, and type-checks
 * all of it under the strict flags that generated code is promised to pass.
 * `npm run interop -- googleapis` takes the whole tree, which needs many minutes and 8 GB of
 * memory; `--part` takes some APIs. `--keep` keeps the output.
 */
import { execFile } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { strictConfig } from "../../protoc-gen-micro/test/support/workspace.ts";
import { fetchProtos } from "./fetch-protos.ts";

const root = join(import.meta.dirname, "../..");
const bin = join(root, "node_modules/.bin");
const run = promisify(execFile);

/**
 * Some of everything: streams of all kinds, editions, proto2, large files, deep imports, common
 * names.
 */
const part = [
  "google/api",
  "google/bigtable/v2",
  "google/bytestream",
  "google/cloud/speech/v2",
  "google/datastore/v1",
  "google/firestore/v1",
  "google/iam/v1",
  "google/logging",
  "google/longrunning",
  "google/pubsub",
  "google/rpc",
  "google/spanner",
  "google/storage/v2",
  "google/type",
  "grafeas",
];

const began = performance.now();
const folder = mkdtempSync(join(cache(), "googleapis-"));
try {
  process.exitCode = (await check()) ? 0 : 1;
} finally {
  if (process.argv.includes("--keep")) console.log(`the output is in ${relative(root, folder)}`);
  else rmSync(folder, { recursive: true, force: true });
}

async function check(): Promise<boolean> {
  link(fetchProtos(cache()), join(folder, "proto"));
  writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
  const targets = process.argv.includes("--part") ? part : [];
  for (const [file, reason] of await compile(targets)) console.log(`excluded ${file}: ${reason}`);
  const expected = await declared();
  step(`compiled ${expected.files} files with ${count(expected)}`);

  await generate();
  const written = await generated();
  step(`generated ${written.files} files with ${count(written)}`);

  // A checker that never fails checks nothing: this line must be its one error.
  const planted = "planted.ts";
  writeFileSync(join(folder, "gen", planted), 'export const planted: number = "text";\n');
  const errors = await typeErrors();
  const unexpected = errors.filter((error) => !error.startsWith(planted));
  step(`type-checked: ${unexpected.length} errors`);
  for (const error of unexpected.slice(0, 20)) console.log(error);
  if (errors.length === unexpected.length) console.log("the type check missed a planted error");
  const complete = expected.services === written.services && expected.methods === written.methods;
  if (!complete) console.log("services or methods are missing in the output");
  return complete && unexpected.length === 0 && errors.length > unexpected.length;
}

/** A copy from which files can be removed, without the time that copying takes. */
function link(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) link(source, target);
    else if (entry.name.endsWith(".proto")) linkSync(source, target);
  }
}

/**
 * Compiles to an image, without the files that buf cannot build. @returns those, with buf's reason
 */
async function compile(targets: readonly string[]): Promise<Map<string, string>> {
  const excluded = new Map<string, string>();
  const paths = targets.flatMap((path) => ["--path", `proto/${path}`]);
  for (;;) {
    const { stderr } = await buf("build", "-o", "image.binpb", ...paths).catch(
      (error: { stderr: string }) => error,
    );
    const failed = [...stderr.matchAll(/^proto\/(\S+?\.proto):[\d:]*\s*(.*)$/gm)];
    if (failed.length === 0) {
      if (stderr.trim() !== "") throw new Error(`buf build: ${stderr}`);
      return excluded;
    }
    for (const [, file = "", reason = ""] of failed) {
      if (excluded.has(file)) continue;
      excluded.set(file, reason);
      rmSync(join(folder, "proto", file));
    }
  }
}

async function generate(): Promise<void> {
  // protoc-gen-es looks for the comments of each element in the whole file, which takes minutes on
  // the largest.
  await buf("build", "image.binpb", "--exclude-source-info", "-o", "bare.binpb");
  const remember = join(import.meta.dirname, "remember-names.cjs");
  const micro = join(root, "protoc-gen-micro/src/main.ts");
  await Promise.all([
    plugin(
      "bare.binpb",
      ["--require", remember, join(bin, "protoc-gen-es")],
      ["erasable_syntax=true"],
    ),
    plugin("image.binpb", ["--import", "tsx", "--conditions=@micro-es/source", micro], []),
  ]);
}

async function plugin(image: string, command: string[], options: string[]): Promise<void> {
  const template = {
    version: "v2",
    plugins: [
      {
        local: [process.execPath, ...command],
        out: "gen",
        strategy: "all",
        include_imports: true,
        opt: ["target=ts", "import_extension=ts", ...options],
      },
    ],
  };
  // Without a limit: a run over the whole tree takes longer than the two minutes that buf gives
  // itself.
  await buf("generate", image, "--template", JSON.stringify(template), "--timeout", "0s");
}

async function buf(...args: string[]): Promise<{ stderr: string }> {
  return await run(join(bin, "buf"), args, { cwd: folder, maxBuffer: 1 << 28 });
}

interface Counts {
  files: number;
  services: number;
  methods: number;
}

/**
 * What the image declares. Services without methods are left out, because nothing is generated for
 * them.
 */
async function declared(): Promise<Counts> {
  const image = fromBinary(FileDescriptorSetSchema, await readFile(join(folder, "image.binpb")));
  const services = image.file
    .flatMap(({ service }) => service)
    .filter((it) => it.method.length > 0);
  return {
    files: image.file.length,
    services: services.length,
    methods: services.reduce((sum, { method }) => sum + method.length, 0),
  };
}

/** What the output has. */
async function generated(): Promise<Counts> {
  const counts: Counts = { files: 0, services: 0, methods: 0 };
  const gen = join(folder, "gen");
  for (const name of await readdir(gen, { recursive: true })) {
    if (!name.endsWith(".ts")) continue;
    counts.files++;
    if (!name.endsWith("_micro.ts")) continue;
    const text = await readFile(join(gen, name), "utf8");
    counts.services += text.match(/^export function create.*Client\$?\d*\(/gm)?.length ?? 0;
    counts.methods += text.match(/^const .*: Method(\$\d+)?</gm)?.length ?? 0;
  }
  return counts;
}

async function typeErrors(): Promise<string[]> {
  const gen = join(folder, "gen");
  writeFileSync(join(gen, "tsconfig.json"), JSON.stringify(strictConfig()));
  const { stdout } = await run(join(bin, "tsc"), ["-p", ".", "--pretty", "false"], {
    cwd: gen,
    maxBuffer: 1 << 28,
  }).catch((error: { stdout: string }) => error);
  // Lines without a file of the output are errors too, except for the runtime's own sources.
  return stdout.split("\n").filter((line) => /error TS/.test(line) && !line.startsWith("../"));
}

function cache(): string {
  const path = join(root, ".cache");
  mkdirSync(path, { recursive: true });
  return path;
}

function count({ services, methods }: Counts): string {
  return `${services} services and ${methods} methods`;
}

function step(text: string): void {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}
