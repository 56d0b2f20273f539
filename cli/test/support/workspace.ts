import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { plugins } from "./bundled-plugins.ts";

const repository = join(import.meta.dirname, "../../..");

/** A service that logs after a moment that it listens, as Micro-ES does, and when it drains. */
export const plainService = `
setTimeout(() => console.log("up: the server listens"), 50);
process.on("SIGTERM", () => {
  console.log("drains");
  setTimeout(() => process.exit(0), 20);
});
setInterval(() => {}, 1_000);
`;

/** A new folder with these files; objects are written as JSON. */
export function folderWith(files: Readonly<Record<string, string | object>>): string {
  const folder = mkdtempSync(join(tmpdir(), "micro-run-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** Installs this repository's built packages and their dependencies into a project. */
export function installInto(project: string): void {
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "@micro-es/runtime"), { recursive: true });
  const programs = join(modules, ".bin");
  mkdirSync(programs);
  for (const name of readdirSync(join(repository, "node_modules/.bin"))) {
    const from = plugins.has(name)
      ? inject("pluginsFolder")
      : join(repository, "node_modules/.bin");
    symlinkSync(realpathSync(join(from, name)), join(programs, name));
  }
  for (const name of ["@bufbuild", "@types", "tsx", "typescript"]) {
    symlinkSync(join(repository, "node_modules", name), join(modules, name));
  }
  // buf takes no file from outside the project.
  cpSync(join(repository, "proto"), join(modules, "@micro-es/runtime/proto"), { recursive: true });
  for (const name of ["package.json", "dist", "src"]) {
    symlinkSync(join(repository, "runtime", name), join(modules, "@micro-es/runtime", name));
  }
}
