import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { strictConfig } from "../../../protoc-gen-micro/test/support/workspace.ts";
import { googleImage, somePaths } from "../../codec/google-image.ts";

/**
 * `npm run bench:codegen`: how long the plugin takes, codecs included, beside protoc-gen-es on the same input, and what
 * its output costs the type checker on top of protoc-gen-es'. Google's APIs are the input, some of them or,
 * with `--all`, the whole tree. `--json` prints a line a figure; `--check` ends with status 1 when one is missed.
 */

const pluginGoal = 0.5;
const typesGoal = 1.5;
const repeats = 3;

const words = process.argv.slice(2);
const root = join(import.meta.dirname, "../../..");
const bin = join(root, "node_modules/.bin");
mkdirSync(join(root, ".cache"), { recursive: true });
const folder = mkdtempSync(join(root, ".cache/codegen-"));
try {
  bench();
} finally {
  if (!words.includes("--keep")) rmSync(folder, { recursive: true, force: true });
}

function bench(): void {
  const image = googleImage(folder, words.includes("--all") ? [] : somePaths);
  rmSync(join(folder, "proto"), { recursive: true });
  // The plugin as it is published, and the types of the runtime.
  const build = spawnSync(join(bin, "tsc"), ["-b", "protoc-gen-micro", "runtime"], {
    cwd: root,
    encoding: "utf8",
  });
  if (build.status !== 0)
    console.error(`the packages do not build without errors:\n${build.stdout}`);
  const names = image.file
    .map(({ name }) => name ?? "")
    .filter((it) => !it.startsWith("google/protobuf/"));
  const request = (options: string) =>
    toBinary(
      CodeGeneratorRequestSchema,
      create(CodeGeneratorRequestSchema, {
        fileToGenerate: names,
        parameter: `target=ts,import_extension=ts${options}`,
        protoFile: image.file,
      }),
    );
  const es: number[] = [];
  const micro: number[] = [];
  for (let i = 0; i < repeats; i++) {
    micro.push(
      timed("micro", [join(root, "protoc-gen-micro/dist/main.js")], request(",codec=fast")),
    );
    es.push(timed("es", [join(bin, "protoc-gen-es")], request("")));
  }
  const plugin = { micro: Math.min(...micro), es: Math.min(...es) };
  const alone = typeCheck("es", ["es"]);
  const both = typeCheck("both", ["es", "micro"]);

  const figures = [
    { what: "plugin time", unit: "s", ours: plugin.micro, theirs: plugin.es, goal: pluginGoal },
    {
      what: "type check time",
      unit: "s",
      ours: both.seconds,
      theirs: alone.seconds,
      goal: typesGoal,
    },
    {
      what: "type check memory",
      unit: "MB",
      ours: both.megabytes,
      theirs: alone.megabytes,
      goal: typesGoal,
    },
  ].map((figure) => ({ ...figure, times: figure.ours / figure.theirs }));
  if (words.includes("--json")) for (const figure of figures) console.log(JSON.stringify(figure));
  else {
    console.log(`${names.length} files; with codec=fast, beside protoc-gen-es alone`);
    for (const { what, unit, ours, theirs, times, goal } of figures) {
      const numbers = `${ours.toFixed(1)} ${unit} to ${theirs.toFixed(1)} ${unit}`;
      console.log(`${what.padEnd(20)}${numbers.padEnd(28)}${times.toFixed(2)} times, goal ${goal}`);
    }
  }
  const missed = figures.filter(({ times, goal }) => times > goal);
  if (words.includes("--check") && missed.length > 0) process.exitCode = 1;
}

/** Runs a plugin on a request, writes its files, and returns the seconds that it took. */
function timed(name: string, command: readonly string[], input: Uint8Array): number {
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    input,
    maxBuffer: 1 << 30,
  });
  const seconds = (performance.now() - began) / 1000;
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  const response = fromBinary(CodeGeneratorResponseSchema, stdout);
  if (response.error) throw new Error(`${name}: ${response.error}`);
  for (const file of response.file) {
    for (const target of name === "es" ? ["es", "both"] : ["both"]) {
      const path = join(folder, target, file.name ?? "");
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, file.content ?? "");
    }
  }
  return seconds;
}

function typeCheck(
  name: string,
  outputs: readonly string[],
): { seconds: number; megabytes: number } {
  const config = strictConfig({
    customConditions: [],
    skipLibCheck: true,
    erasableSyntaxOnly: false,
    isolatedDeclarations: false,
    declaration: false,
  });
  writeFileSync(join(folder, name, "tsconfig.json"), JSON.stringify(config));
  const args = ["-p", ".", "--pretty", "false", "--extendedDiagnostics"];
  let best = { seconds: Number.POSITIVE_INFINITY, megabytes: Number.POSITIVE_INFINITY };
  for (let i = 0; i < 2; i++) {
    const { stdout } = spawnSync(join(bin, "tsc"), args, {
      cwd: join(folder, name),
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    // What the runtime's own sources say under these flags is not what is measured.
    const errors = stdout
      .split("\n")
      .filter((line) => /error TS/.test(line) && !line.startsWith(".."));
    if (errors.length > 0)
      throw new Error(`${outputs.join(" and ")}: ${errors.slice(0, 5).join("\n")}`);
    const seconds = Number(/Total time:\s+([\d.]+)s/.exec(stdout)?.[1]);
    const megabytes = Number(/Memory used:\s+(\d+)K/.exec(stdout)?.[1]) / 1024;
    best = {
      seconds: Math.min(best.seconds, seconds),
      megabytes: Math.min(best.megabytes, megabytes),
    };
  }
  return best;
}
