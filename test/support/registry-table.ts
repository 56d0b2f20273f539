/**
 * The guarantees of all registries as a table in docs/choosing-a-registry.md, from the data of the
 * built-in drivers and of each package in `drivers`. With `--check` nothing is written, and the
 * status is 1 when the table is not what would be generated.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { memoryRegistry, type Registry, silentLogger } from "@micro-es/runtime";
import { BackendUrl, type Driver, type RegistryGuarantees } from "@micro-es/runtime/driver";
import { builtInDrivers } from "../../runtime/src/service/built-in-drivers.ts";

const root = join(import.meta.dirname, "../..");
const page = join(root, "docs/choosing-a-registry.md");
const begin = "<!-- registries: begin -->";
const end = "<!-- registries: end -->";

/** URLs of drivers that need more than their scheme. */
const urls: Readonly<Record<string, string>> = {
  dns: "dns:example.com",
  env: "env:SHOP_",
  file: "file:data",
  static: "static:greeter=10.0.0.5:8080",
};

const reaches: Readonly<Record<RegistryGuarantees["reach"], string>> = {
  process: "this process",
  host: "this host",
  link: "the local network",
  backend: "all that share the backend",
};
const livenesses: Readonly<Record<RegistryGuarantees["liveness"], string>> = {
  lease: "within its ttl (`MICRO_TTL`, 15 s)",
  process: "with the registry's process",
  none: "when its source drops it",
};

/** A page with the table of these registries in its place. @throws Error without a place for it. */
export function withTable(text: string, table: readonly string[]): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${relative(root, page)} lacks ${begin} or ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${table.join("\n")}\n\n${text.slice(to)}`;
}

/** The rows of the table, by the drivers that have a registry. */
export async function registryTable(drivers: readonly Driver[]): Promise<readonly string[]> {
  const rows: string[] = [];
  for (const driver of drivers) {
    const [scheme = ""] = driver.schemes;
    await using registry = openRegistry(driver, urls[scheme] ?? `${scheme}:`);
    if (registry !== undefined) rows.push(rowOf(scheme, registry));
  }
  return [
    "| URL | servers register | who sees a registration | consistency | a killed node disappears |",
    "|---|---|---|---|---|",
    ...rows,
  ];
}

function rowOf(scheme: string, { guarantees }: Registry): string {
  const { registers, reach, consistency, liveness } = guarantees;
  const seen = registers ? reaches[reach] : "–";
  const cells = [registers ? "yes" : "no", seen, consistency, livenesses[liveness]];
  return `| \`${scheme}:\` | ${cells.join(" | ")} |`;
}

function openRegistry(driver: Driver, url: string): Registry | undefined {
  const parts = driver.open(BackendUrl.parse(url)!, {
    logger: silentLogger,
    service: "shop",
    environment: {},
    startTimeoutMs: undefined,
    registry: () => memoryRegistry(),
    address: () => undefined,
  });
  return parts.registry?.();
}

/** The built-in drivers, then those of all packages. */
export async function allDrivers(): Promise<readonly Driver[]> {
  const packages = readdirSync(join(root, "drivers")).sort();
  const modules = await Promise.all(
    packages.map((name) => {
      const file = join(root, "drivers", name, "src/index.ts");
      return import(pathToFileURL(file).href) as Promise<Readonly<Record<string, unknown>>>;
    }),
  );
  return [...builtInDrivers, ...modules.flatMap((each) => Object.values(each).filter(isDriver))];
}

function isDriver(value: unknown): value is Driver {
  return typeof value === "object" && value !== null && "schemes" in value && "open" in value;
}

if (process.argv[1] === import.meta.filename) {
  const present = readFileSync(page, "utf8");
  const wanted = withTable(present, await registryTable(await allDrivers()));
  if (!process.argv.includes("--check")) writeFileSync(page, wanted);
  else if (wanted !== present) {
    console.error(`the table of registries is out of date: ${relative(root, page)}`);
    console.error("run `npm run check -- --write generated` and commit what it writes");
    process.exitCode = 1;
  }
  process.exit();
}
