import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { BackendUrl } from "../base/backend-url.ts";
import { MicroError, messageOf } from "../base/error.ts";
import { checkOptions, object, texts } from "../base/option-check.ts";
import { drivers as driverKind } from "../base/option-kinds.ts";
import { withoutCredentials } from "../base/redact.ts";
import { builtInDrivers } from "./built-in-drivers.ts";
import type { Driver } from "./driver.ts";
import { driverPackage } from "./driver-package.ts";
import { type EnvironmentValues, environmentVariables, fromEnvironment } from "./environment.ts";

/** Where {@link loadDrivers} searches. */
export interface LoadDriversOptions {
  /** The environment variables. Default `process.env`. */
  readonly environment?: EnvironmentValues;
  /**
   * Folders whose installed packages are searched, in this order. Default: the working directory
   * and that of the program's main module.
   */
  readonly from?: readonly string[];
}

/**
 * Imports the drivers that the environment names, for
 * `createService({ drivers: await loadDrivers() })`: for each URL the package `@micro-es/<scheme>`,
 * and the packages in `MICRO_DRIVERS`. Packages are those installed for the application. If the
 * package for a URL is not installed, `createService` reports it when it needs the driver.
 *
 * @throws MicroError `invalid_argument` for a variable that is not allowed; `failed_precondition`
 * for a package in `MICRO_DRIVERS` that is not installed, and for one that cannot be imported or
 * does not export a driver.
 */
export async function loadDrivers(options: LoadDriversOptions = {}): Promise<readonly Driver[]> {
  checkOptions("loadDrivers", options, { environment: object, from: texts });
  const { environment = process.env, from = applicationFolders() } = options;
  const named = fromEnvironment(environmentVariables.drivers, environment) ?? [];
  const bySchemes = urlsOf(environment)
    .filter(({ scheme }) => !builtInDrivers.some(({ schemes }) => schemes.includes(scheme)))
    .map(({ scheme }) => driverPackage(scheme).name);
  const drivers: Driver[] = [];
  for (const name of new Set([...named, ...bySchemes])) {
    const file = findPackage(name, from);
    if (file !== undefined) drivers.push(...(await importDrivers(name, file)));
    else if (named.includes(name)) throw notInstalled(name, from);
  }
  return drivers;
}

/** All backend URLs in the environment. */
function urlsOf(environment: EnvironmentValues): readonly BackendUrl[] {
  return Object.values(environmentVariables)
    .flatMap<unknown>((variable) => fromEnvironment<unknown>(variable, environment))
    .filter((value) => value instanceof BackendUrl);
}

function applicationFolders(): readonly string[] {
  const [, main] = process.argv;
  if (main === undefined || !existsSync(main)) return [process.cwd()];
  // Programs of packages are started through a link in node_modules/.bin.
  return [process.cwd(), dirname(realpathSync(main))];
}

/** The main module of an installed package; undefined if it is not installed. */
function findPackage(name: string, folders: readonly string[]): string | undefined {
  for (const folder of folders) {
    const require = createRequire(join(resolve(folder), "package.json"));
    try {
      return require.resolve(name);
    } catch {
      const file = importOnly(name, require.resolve.paths(name) ?? []);
      if (file !== undefined) return file;
    }
  }
  return undefined;
}

/** The main module of a package that only `import` may load, which `require.resolve` rejects. */
function importOnly(name: string, folders: readonly string[]): string | undefined {
  const home = folders
    .map((folder) => join(folder, name))
    .find((it) => existsSync(join(it, "package.json")));
  if (home === undefined) return undefined;
  const { exports } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const target = targetOf(exports?.["."] ?? exports);
  return target === undefined ? undefined : join(home, target);
}

function targetOf(entry: unknown): string | undefined {
  if (typeof entry === "string") return entry;
  if (typeof entry !== "object" || entry === null) return undefined;
  for (const [condition, inside] of Object.entries(entry)) {
    const target = ["import", "node", "default"].includes(condition) ? targetOf(inside) : undefined;
    if (target !== undefined) return target;
  }
  return undefined;
}

async function importDrivers(name: string, file: string): Promise<readonly Driver[]> {
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (reason) {
    throw failed(`the driver ${name} cannot be imported: ${withoutCredentials(messageOf(reason))}`);
  }
  const drivers = Object.values(module).filter((value) => driverKind.accepts([value]));
  if (drivers.length > 0) return drivers as Driver[];
  throw failed(`the package ${name} exports no driver, which has schemes and open()`);
}

function notInstalled(name: string, folders: readonly string[]): MicroError {
  return failed(
    `MICRO_DRIVERS names ${name}, which is not installed in ${folders.join(" or ")}: npm i ${name}`,
  );
}

function failed(message: string): MicroError {
  return new MicroError("failed_precondition", message, { outcome: "not-executed" });
}
