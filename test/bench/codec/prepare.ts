import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { compile, generate, protocGenEs } from "../../../protoc-gen-micro/test/support/compile.ts";

const here = import.meta.dirname;
/** The folder of generated code: below the contenders' packages, which the code imports. */
const generated = join(here, ".cache");

/** Installs missing contenders, and generates the code of all of them. Returns its folder. */
export function prepare(): string {
  const modules = join(here, "node_modules");
  const lock = join(here, "package-lock.json");
  const installed = join(modules, ".package-lock.json");
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    execFileSync(
      "npm",
      ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--workspaces=false"],
      {
        cwd: here,
        stdio: ["ignore", "ignore", "inherit"],
      },
    );
  }
  rmSync(generated, { recursive: true, force: true });
  const sources: Record<string, string> = {};
  for (const name of readdirSync(join(here, "proto"))) {
    sources[name] = readFileSync(join(here, "proto", name), "utf8");
  }
  const names = Object.keys(sources);
  const compiled = compile(sources, { withOptions: false });
  const parameter = "target=ts,import_extension=ts";
  const files = [
    ...generate(compiled.request(names, parameter), protocGenEs),
    ...generate(compiled.request(names, `${parameter},codec=fast`)),
  ];
  const options =
    "outputServices=none,outputJsonMethods=false,outputPartialMethods=false,forceLong=bigint";
  const request = compiled.request(names, options);
  const response = execFileSync(join(modules, ".bin/protoc-gen-ts_proto"), {
    input: toBinary(CodeGeneratorRequestSchema, request),
    maxBuffer: 1 << 28,
  });
  for (const { name = "", content = "" } of fromBinary(CodeGeneratorResponseSchema, response)
    .file) {
    files.push([`ts-proto/${name}`, content]);
  }
  for (const [name, text] of files) {
    mkdirSync(dirname(join(generated, name)), { recursive: true });
    writeFileSync(join(generated, name), text);
  }
  for (const name of names) {
    const output = join(generated, name.replace(/\.proto$/, ".pbjs.js"));
    const source = join(here, "proto", name);
    execFileSync(join(modules, ".bin/pbjs"), [
      "-t",
      "static-module",
      "-w",
      "esm",
      "-o",
      output,
      source,
    ]);
  }
  return generated;
}
