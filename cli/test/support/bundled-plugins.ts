import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    pluginsFolder: string;
  }
}

const bundle = join(import.meta.dirname, "../../../protoc-gen-micro/scripts/bundle.js");

/** The plugins of buf and protoc that the package protoc-gen-micro contains. */
export const plugins = new Map([
  ["protoc-gen-micro", "main.js"],
  ["buf-plugin-micro", "buf-plugin.js"],
]);

/**
 * The global setup of the tests of `micro`: bundles the plugins, as the package contains them, into
 * a folder at the front of PATH. As tsc writes them they load all of TypeScript, which takes a
 * second of each command that runs one.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "micro-es-plugins-"));
  await promisify(execFile)(process.execPath, [bundle, folder]);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  for (const [name, file] of plugins) {
    await writeFile(join(folder, name), `#!/usr/bin/env node\nimport "./${file}";\n`);
    await chmod(join(folder, name), 0o755);
  }
  process.env.PATH = `${folder}${delimiter}${process.env.PATH}`;
  project.provide("pluginsFolder", folder);
  return () => rm(folder, { recursive: true, force: true });
}
