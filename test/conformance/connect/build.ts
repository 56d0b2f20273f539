import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  compile,
  generate,
  protocGenEs,
  repository,
} from "../../../protoc-gen-micro/test/support/compile.ts";
import { bundleProgram } from "../../support/bundle.ts";

const here = import.meta.dirname;

/**
 * Writes the output for the suite's .proto files next to the programs, which import it, and
 * checks their types.
 */
export function generateService(protos: string): void {
  const sources: Record<string, string> = {};
  for (const name of readdirSync(protos, { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".proto")) sources[name] = readFileSync(join(protos, name), "utf8");
  }
  const request = compile(sources, { withOptions: false }).request(
    Object.keys(sources),
    "target=ts,import_extension=ts",
  );
  const out = join(here, "gen");
  rmSync(out, { recursive: true, force: true });
  for (const [name, text] of [...generate(request, protocGenEs), ...generate(request)]) {
    mkdirSync(dirname(join(out, name)), { recursive: true });
    writeFileSync(join(out, name), text);
  }
  const tsc = join(repository, "node_modules/.bin/tsc");
  execFileSync(tsc, ["-p", join(here, "tsconfig.json")], { stdio: "inherit" });
}

/** One file of a program, so that it starts at once. */
export async function bundle(program: "client" | "server", folder: string): Promise<string> {
  const outfile = join(folder, `${program}.mjs`);
  await bundleProgram(join(here, `${program}.ts`), outfile);
  return outfile;
}
