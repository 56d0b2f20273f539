import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { type CutPart, cuttingOut } from "./without-features.ts";

const here = import.meta.dirname;
/** Contenders that use a runtime of their own, by the part that it lacks: {@link cuttingOut}. */
const withCuts: Readonly<Record<string, CutPart>> = {
  "ablations/cut-out": "features",
  "ablations/access-cut-out": "access",
};
const repository = join(here, "../..");

/**
 * Folders of contenders: those that are compared with each other, and ours with one feature each.
 */
export type ContenderFolder = "contenders" | "ablations";

/** The files of all contenders of a folder, without extension. */
export function contenderFiles(folder: ContenderFolder): readonly string[] {
  return readdirSync(join(here, folder)).map((file) => `${folder}/${file.replace(/\.ts$/, "")}`);
}

/**
 * Installs missing peers, builds the runtime as users get it, and compiles the harness to plain
 * JavaScript: a loader that transpiles at run time would be measured as well. Returns the folder of
 * the result.
 *
 * @param ablation whether to prepare the contenders with one feature each as well
 */
export async function prepare(ablation: boolean): Promise<string> {
  const installed = join(here, "node_modules/.package-lock.json");
  const lock = join(here, "package-lock.json");
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    execFileSync("npm", ["ci", "--no-workspaces", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: here,
      stdio: ["ignore", process.stderr, process.stderr],
    });
  }
  const folder = join(here, ".build");
  install(folder, "@micro-es/runtime", "runtime");
  // The driver, too: it would use the workspace's runtime, and a process two copies of it.
  install(folder, "@micro-es/nats", "drivers/nats");
  const contenders = [
    ...contenderFiles("contenders"),
    ...(ablation ? contenderFiles("ablations") : []),
  ];
  await compile(folder, [
    "child.ts",
    "scale-side.ts",
    "gen/micro/bench/v1/bench_micro.ts",
    ...contenders.filter((it) => !Object.hasOwn(withCuts, it)).map((it) => `${it}.ts`),
  ]);
  if (ablation) {
    for (const [contender, part] of Object.entries(withCuts)) {
      await compile(folder, [`${contender}.ts`], [cuttingOut(part)]);
    }
  }
  return folder;
}

async function compile(
  folder: string,
  entryPoints: string[],
  plugins: Plugin[] = [],
): Promise<void> {
  await build({
    absWorkingDir: here,
    entryPoints,
    outbase: here,
    outdir: folder,
    plugins,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: true,
    splitting: true,
    logLevel: "warning",
  });
}

/** Packs a package and unpacks it where the built code finds it before the workspace's. */
function install(folder: string, name: string, source: string): void {
  const target = join(folder, "node_modules", name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const packed = execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: join(repository, source),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const archive = join(folder, String(packed).trim().split("\n").at(-1) ?? "");
  execFileSync("tar", ["-xzf", archive, "-C", target, "--strip-components=1"]);
  rmSync(archive);
}

/** Where contenders that load .proto files find them. */
export const protoFolders: string = ["proto", "test/proto"]
  .map((folder) => join(repository, folder))
  .join(":");
