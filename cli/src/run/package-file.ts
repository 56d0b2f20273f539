import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { UsageError } from "../command.ts";

/** What `micro run` reads of a package.json. */
export interface PackageFile {
  readonly name: string;
  readonly folder: string;
  /** The line of shell that runs it: `micro.run`, or its `start` script with the `prestart` before it. */
  readonly command: string | undefined;
  /** Whether `micro.run` says how, and not a `start` script. */
  readonly declared: boolean;
  /** What is to run before it, by `micro.after`; undefined where the dependencies tell. */
  readonly after: readonly string[] | undefined;
  readonly dependencies: readonly string[];
  /** Patterns of the folders of a workspace; empty for a package that is none. */
  readonly workspaces: readonly string[];
}

interface Raw {
  readonly name?: unknown;
  readonly scripts?: { readonly prestart?: string; readonly start?: string };
  readonly micro?: { readonly run?: unknown; readonly after?: unknown };
  readonly workspaces?: unknown;
  readonly dependencies?: object;
  readonly peerDependencies?: object;
  readonly optionalDependencies?: object;
}

/** The package.json of a folder; undefined when there is none. @throws UsageError for one that is wrong. */
export async function readPackageFile(folder: string): Promise<PackageFile | undefined> {
  const file = join(folder, "package.json");
  let raw: Raw;
  try {
    raw = JSON.parse(await readFile(file, "utf8")) as Raw;
  } catch (reason) {
    if (reason instanceof SyntaxError)
      throw new UsageError(`${file} is no JSON: ${reason.message}`);
    const { code } = reason as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw reason;
  }
  const { micro = {}, scripts = {} } = raw;
  const declared = micro.run !== undefined;
  if (declared && micro.run !== false && (typeof micro.run !== "string" || micro.run === "")) {
    throw new UsageError(`"micro.run" of ${file} is to be a command, or false for no service`);
  }
  return {
    name: typeof raw.name === "string" && raw.name !== "" ? raw.name : basename(folder),
    folder,
    command: declared ? commandOf(micro.run) : startCommand(scripts),
    declared,
    after: micro.after === undefined ? undefined : names(micro.after, `"micro.after" of ${file}`),
    dependencies: [raw.dependencies, raw.peerDependencies, raw.optionalDependencies].flatMap((it) =>
      Object.keys(it ?? {}),
    ),
    workspaces: workspacePatterns(raw.workspaces, file),
  };
}

function commandOf(run: unknown): string | undefined {
  return typeof run === "string" ? run : undefined;
}

function startCommand({ prestart, start }: NonNullable<Raw["scripts"]>): string | undefined {
  if (start === undefined || start === "") return undefined;
  return prestart === undefined ? start : `( ${prestart} ) && ( ${start} )`;
}

function workspacePatterns(workspaces: unknown, file: string): readonly string[] {
  if (workspaces === undefined) return [];
  const isObject =
    typeof workspaces === "object" && workspaces !== null && "packages" in workspaces;
  return names(isObject ? workspaces.packages : workspaces, `"workspaces" of ${file}`);
}

function names(value: unknown, what: string): readonly string[] {
  if (Array.isArray(value) && value.every((it) => typeof it === "string")) return value;
  throw new UsageError(`${what} is to be a list of strings`);
}
