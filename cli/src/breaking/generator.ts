import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../errors.ts";

/** Functions of the generator's package for schemas. */
export type Generator = typeof import("protoc-gen-micro/schema");

/**
 * Loads the project's generator, or else the one installed with this program, because digests are
 * compared with those that it writes.
 *
 * @throws UsageError if there is none.
 */
export async function loadGenerator(project: string): Promise<Generator> {
  for (const from of [join(project, "package.json"), import.meta.filename]) {
    let file: string;
    try {
      file = createRequire(from).resolve("protoc-gen-micro/schema");
    } catch {
      continue;
    }
    return (await import(pathToFileURL(file).href)) as Generator;
  }
  throw new UsageError("comparing with a fleet needs the generator: npm i -D protoc-gen-micro");
}
