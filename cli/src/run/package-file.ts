import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parse } from "yaml";
import { UsageError } from "../errors.ts";

/** The parts of a package.json that `micro run` uses. */
export interface PackageFile {
  readonly name: string;
  readonly folder: string;
  /** The shell command that runs it: `micro.run`, or its `start` script after its `prestart`. */
  readonly command: string | undefined;
  /** Whether the command comes from `micro.run`, not from a `start` script. */
  readonly declared: boolean;
  /** Whether its callers have tokens of a development issuer, from `micro.access`. */
  readonly access: boolean;
  /**
   * Services to start before it, from `micro.after`; undefined if the dependencies determine them.
   */
  readonly after: readonly string[] | undefined;
  readonly dependencies: readonly string[];
  /**
   * Patterns of the folders of an npm, yarn or pnpm workspace; empty for a package that is not a
   * root.
   */
  readonly workspaces: readonly string[];
}

interface Raw {
  readonly name?: unknown;
  readonly scripts?: { readonly prestart?: unknown; readonly start?: unknown };
  readonly micro?: { readonly run?: unknown; readonly after?: unknown; readonly access?: unknown };
  readonly workspaces?: unknown;
  readonly dependencies?: object;
  readonly peerDependencies?: object;
  readonly optionalDependencies?: object;
}

/** The name of a package without its scope. */
export function unscoped(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/**
 * The package.json of a folder, with the workspace of a pnpm-workspace.yaml next to it; undefined
 * if the folder has neither.
 *
 * @throws UsageError for an invalid file.
 */
export async function readPackageFile(folder: string): Promise<PackageFile | undefined> {
  const file = join(folder, "package.json");
  const pnpm = await pnpmPatterns(folder);
  const text = await readIfThere(file);
  if (text === undefined && pnpm === undefined) return undefined;
  const raw = text === undefined ? {} : parseJson(text, file);
  const { micro = {}, scripts = {} } = raw;
  const declared = micro.run !== undefined;
  if (declared && micro.run !== false && (typeof micro.run !== "string" || micro.run === "")) {
    throw new UsageError(
      `"micro.run" of ${file} must be a command, or false to exclude the package`,
    );
  }
  return {
    name: typeof raw.name === "string" && raw.name !== "" ? raw.name : basename(folder),
    folder,
    command: declared ? commandOf(micro.run) : startCommand(scripts),
    declared,
    access: accessOf(micro.access, file),
    after: micro.after === undefined ? undefined : names(micro.after, `"micro.after" of ${file}`),
    dependencies: [raw.dependencies, raw.peerDependencies, raw.optionalDependencies].flatMap((it) =>
      Object.keys(it ?? {}),
    ),
    // pnpm reads only its own file; without `packages` the file contains only settings.
    workspaces: pnpm ?? workspacePatterns(raw.workspaces, file),
  };
}

/**
 * The patterns in a folder's pnpm-workspace.yaml; undefined without the file, or if it lists no
 * packages.
 */
async function pnpmPatterns(folder: string): Promise<readonly string[] | undefined> {
  const file = join(folder, "pnpm-workspace.yaml");
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    const { packages } = (parse(text) ?? {}) as { readonly packages?: unknown };
    return packages === undefined ? undefined : names(packages, `"packages" of ${file}`);
  } catch (reason) {
    if (reason instanceof UsageError) throw reason;
    // Not only syntax errors: errors about multiplying aliases have another class.
    const [why] = (reason as Error).message.split("\n");
    throw new UsageError(`${file} is not valid YAML: ${why}`);
  }
}

function parseJson(text: string, file: string): Raw {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (reason) {
    throw new UsageError(`${file} is not valid JSON: ${(reason as SyntaxError).message}`);
  }
  if (!isObject(value)) throw new UsageError(`${file} does not contain an object`);
  for (const name of ["scripts", "micro"]) {
    if (value[name] !== undefined && !isObject(value[name])) {
      throw new UsageError(`"${name}" of ${file} must be an object`);
    }
  }
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw reason;
  }
}

function accessOf(access: unknown, file: string): boolean {
  if (access === undefined || typeof access === "boolean") return access === true;
  throw new UsageError(
    `"micro.access" of ${file} must be true, to create a development issuer, or false`,
  );
}

function commandOf(run: unknown): string | undefined {
  return typeof run === "string" ? run : undefined;
}

function startCommand({ prestart, start }: NonNullable<Raw["scripts"]>): string | undefined {
  if (typeof start !== "string" || start === "") return undefined;
  return typeof prestart !== "string" ? start : `( ${prestart} ) && ( ${start} )`;
}

function workspacePatterns(workspaces: unknown, file: string): readonly string[] {
  if (workspaces === undefined) return [];
  const hasPackages =
    typeof workspaces === "object" && workspaces !== null && "packages" in workspaces;
  return names(hasPackages ? workspaces.packages : workspaces, `"workspaces" of ${file}`);
}

function names(value: unknown, what: string): readonly string[] {
  if (Array.isArray(value) && value.every((it) => typeof it === "string")) return value;
  throw new UsageError(`${what} must be a list of strings`);
}
