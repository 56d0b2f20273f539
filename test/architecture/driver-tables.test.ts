import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { memoryRegistry, silentLogger } from "@micro-es/runtime";
import { BackendUrl, type Driver, type DriverPart } from "@micro-es/runtime/driver";
import { describe, expect, test } from "vitest";
import { builtInDrivers } from "../../runtime/src/service/built-in-drivers.ts";
import { publishedSchemes } from "../../runtime/src/service/driver-package.ts";

const root = join(import.meta.dirname, "../..");
const kinds: readonly DriverPart[] = ["registry", "broker", "store", "sync", "config", "transport"];

/** The cells of the table below a heading of docs/drivers.md, without its header. */
function rowsBelow(heading: string): readonly (readonly string[])[] {
  const page = readFileSync(join(root, "docs/drivers.md"), "utf8");
  const section = page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => line.split("|").slice(1, -1));
}

const schemesIn = (cell = "") => [...cell.matchAll(/`([a-z]+):/g)].map(([, scheme]) => scheme);

const partsIn = (cell = "") => kinds.filter((kind) => new RegExp(`\\b${kind}\\b`).test(cell));

const parametersIn = (cell = "") =>
  [...cell.matchAll(/`([a-z]\w*)(?:=[^`]*)?`/gi)]
    .map(([, name]) => name)
    .filter((name) => !name?.startsWith("MICRO_"));

/** What the driver has at a URL of the docs, as `open` returns it. */
async function partsOf(driver: Driver, url: string): Promise<readonly DriverPart[]> {
  const registry = memoryRegistry();
  const parts = driver.open(BackendUrl.parse(url)!, {
    logger: silentLogger,
    service: "shop",
    environment: {},
    startTimeoutMs: undefined,
    registry: () => registry,
    address: () => undefined,
  });
  await parts.close();
  return kinds.filter((kind) => parts[kind] !== undefined);
}

/** The parameters that a driver lists when it is given another one. */
async function parametersOf(driver: Driver, url: string): Promise<readonly string[]> {
  const failure = await partsOf(driver, `${url}?nothing=1`).then(
    () => "",
    (error: Error) => error.message,
  );
  expect(failure).toContain("has no parameter nothing");
  const [, names] = /it takes (?!no parameters)(.+)$/i.exec(failure) ?? [];
  return names?.split(", ") ?? [];
}

describe("docs/drivers.md says what drivers have", () => {
  const rows = rowsBelow("Built in");

  test("in a row for each that is built in", () => {
    const schemes = builtInDrivers.flatMap((driver) => driver.schemes);
    expect([...new Set(rows.flatMap(([url]) => schemesIn(url)))].sort()).toEqual(schemes.sort());
  });

  test.each(rows)("%s: %s %s", async (urls, has, parameters) => {
    const [scheme] = schemesIn(urls);
    const driver = builtInDrivers.find(({ schemes }) => schemes.includes(scheme!))!;
    const url = /`([^`]+)`/.exec(urls!)![1]!;
    expect(partsIn(has)).toEqual(await partsOf(driver, url));
    expect(parametersIn(parameters)).toEqual(await parametersOf(driver, url));
  });
});

const installed = rowsBelow("Installed");

test("docs/drivers.md has a row for every driver package", () => {
  const packages = readdirSync(join(root, "drivers")).map((folder) => {
    const file = join(root, "drivers", folder, "package.json");
    return (JSON.parse(readFileSync(file, "utf8")) as { name: string }).name;
  });
  const named = installed.map(([name]) => /`([^`]+)`/.exec(name!)?.[1]);
  expect(named.sort()).toEqual(packages.sort());
});

test.each(installed)("%s at %s has %s", async (name, urls, has) => {
  const module: Readonly<Record<string, unknown>> = await import(/`([^`]+)`/.exec(name!)![1]!);
  const [driver] = Object.values(module).filter(isDriver);
  expect(schemesIn(urls)).toEqual(driver!.schemes);
  expect(publishedSchemes).toEqual(expect.arrayContaining([...driver!.schemes]));
  for (const scheme of driver!.schemes) {
    expect(partsIn(has)).toEqual(await partsOf(driver!, `${scheme}:`));
  }
});

/** What the README's table of interfaces calls a driver, where that is not its scheme. */
const readmeNames: Readonly<Record<string, string>> = {
  http: "go-micro's HTTP",
  tcp: "TCP",
  amqp: "RabbitMQ",
  pubsub: "Pub/Sub",
};

describe("README's table of interfaces names each driver in the rows of the parts that it has", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const rowOf = (kind: DriverPart) =>
    readme.split("\n").find((line) => line.startsWith(`| ${kind} |`)) ?? "";
  const places = [
    ...rowsBelow("Built in").map(([urls]) => urls),
    ...installed.map(([, urls]) => urls),
  ];

  test.each(places)("%s", async (urls) => {
    const [scheme = ""] = schemesIn(urls);
    const name = readmeNames[scheme] ?? scheme;
    const driver = (await allDrivers()).find(({ schemes }) => schemes.includes(scheme))!;
    const url = /`([^`]+)`/.exec(urls!)![1]!;
    for (const kind of await partsOf(driver, url)) {
      expect(rowOf(kind).toLowerCase(), `the row ${kind}`).toContain(name.toLowerCase());
    }
  });
});

async function allDrivers(): Promise<readonly Driver[]> {
  const modules = await Promise.all(
    installed.map(([name]) => import(/`([^`]+)`/.exec(name!)![1]!) as Promise<object>),
  );
  return [
    ...builtInDrivers,
    ...modules.flatMap((module) => Object.values(module).filter(isDriver)),
  ];
}

function isDriver(value: unknown): value is Driver {
  return typeof value === "object" && value !== null && "schemes" in value && "open" in value;
}
