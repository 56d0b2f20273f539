/**
 * The guarantees of all registries and brokers as tables in docs/choosing-a-registry.md and
 * docs/choosing-a-broker.md, from the data of the built-in drivers and of each package in
 * `drivers`. With `--check` nothing is written, and the status is 1 when a table is not what would
 * be generated.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { type Broker, memoryRegistry, type Registry, silentLogger } from "@micro-es/runtime";
import {
  BackendUrl,
  type BrokerGuarantees,
  type Driver,
  type DriverParts,
  type RegistryGuarantees,
} from "@micro-es/runtime/driver";
import { builtInDrivers } from "../../runtime/src/service/built-in-drivers.ts";

const root = join(import.meta.dirname, "../..");

/** URLs of drivers that need more than their scheme, or whose parts differ by a parameter. */
const urls: Readonly<Record<string, readonly string[]>> = {
  amqp: ["amqp:", "amqp:?ordering=key"],
  dns: ["dns:example.com"],
  env: ["env:SHOP_"],
  file: ["file:data"],
  kafka: ["kafka:", "kafka:?ordering=none"],
  nats: ["nats:", "nats:?broker=core"],
  pubsub: ["pubsub://acme-prod", "pubsub://acme-prod?ordering=key"],
  redis: ["redis:", "redis:?ordering=key&durability=power-loss"],
  static: ["static:greeter=10.0.0.5:8080"],
};

/** A table of guarantees in a page of the docs. */
export interface GuaranteeTable<Part> {
  /** The path of the page in the repository. */
  readonly page: string;
  /** The place in the page is between comments `NAME: begin` and `NAME: end`. */
  readonly name: string;
  readonly head: readonly [string, string];
  readonly part: (parts: DriverParts) => Part | undefined;
  /** The cells of a row, after that of the URL. */
  readonly cells: (part: Part) => readonly string[];
}

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

export const registries: GuaranteeTable<Registry> = {
  page: "docs/choosing-a-registry.md",
  name: "registries",
  head: [
    "| URL | servers register | who sees a registration | consistency | a killed node disappears |",
    "|---|---|---|---|---|",
  ],
  part: (parts) => parts.registry?.(),
  cells({ guarantees: { registers, reach, consistency, liveness } }) {
    const seen = registers ? reaches[reach] : "–";
    return [yesOrNo(registers), seen, consistency, livenesses[liveness]];
  },
};

const durabilities: Readonly<Record<BrokerGuarantees["durability"], string>> = {
  none: "nothing",
  "process-crash": "a crash of the server's process",
  "power-loss": "a loss of power",
};

export const brokers: GuaranteeTable<Broker> = {
  page: "docs/choosing-a-broker.md",
  name: "brokers",
  head: [
    "| URL | delivery | order | an acknowledged event survives | attempts are counted by | unheard events | dead letters | replay | overflow | largest event |",
    "|---|---|---|---|---|---|---|---|---|--:|",
  ],
  part: (parts) => parts.broker?.(),
  cells({ guarantees }) {
    const { delivery, ordering, durability, attempts, unheard, deadLetter } = guarantees;
    return [
      delivery.replaceAll("-", " "),
      ordering === "none" ? "none" : `by ${ordering}`,
      durabilities[durability],
      attempts === "backend" ? "the backend" : "the process",
      unheard,
      yesOrNo(deadLetter),
      yesOrNo(guarantees.replay),
      guarantees.overflow === "block" ? "publishers wait" : "dropped and counted",
      sizeOf(guarantees.maxEventBytes),
    ];
  },
};

function yesOrNo(value: boolean): string {
  return value ? "yes" : "no";
}

function sizeOf(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes >= 1 ? `${Number(mebibytes.toFixed(1))} MiB` : `${Math.floor(bytes / 1024)} KiB`;
}

/** A page with the rows of a table in their place. @throws Error without a place for them. */
export function withTable<Part>(
  text: string,
  { page, name }: Pick<GuaranteeTable<Part>, "page" | "name">,
  rows: readonly string[],
): string {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page} lacks ${begin} or ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${rows.join("\n")}\n\n${text.slice(to)}`;
}

/** The table, with a row for each URL of the drivers that have the part. */
export async function tableOf<Part extends { close(): Promise<void> }>(
  { head, part, cells }: GuaranteeTable<Part>,
  drivers: readonly Driver[],
): Promise<readonly string[]> {
  const rows: string[] = [...head];
  for (const driver of drivers) {
    const [scheme = ""] = driver.schemes;
    let last: string | undefined;
    for (const url of urls[scheme] ?? [`${scheme}:`]) {
      const parts = open(driver, url);
      const opened = part(parts);
      if (opened !== undefined) {
        const row = cells(opened).join(" | ");
        // A parameter may make no difference to this part.
        const [, parameters] = url.split("?");
        const label = parameters === undefined ? `${scheme}:` : `${scheme}:?${parameters}`;
        if (row !== last) rows.push(`| \`${label}\` | ${row} |`);
        last = row;
        await opened.close();
      }
      await parts.close();
    }
  }
  return rows;
}

function open(driver: Driver, url: string): DriverParts {
  return driver.open(BackendUrl.parse(url)!, {
    logger: silentLogger,
    service: "shop",
    environment: {},
    startTimeoutMs: undefined,
    registry: () => memoryRegistry(),
    address: () => undefined,
  });
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

async function update<Part extends { close(): Promise<void> }>(
  table: GuaranteeTable<Part>,
  drivers: readonly Driver[],
): Promise<void> {
  const path = join(root, table.page);
  const present = readFileSync(path, "utf8");
  const wanted = withTable(present, table, await tableOf(table, drivers));
  if (!process.argv.includes("--check")) writeFileSync(path, wanted);
  else if (wanted !== present) {
    console.error(`the table of ${table.name} is out of date: ${relative(root, path)}`);
    console.error("run `npm run check -- --write generated` and commit what it writes");
    process.exitCode = 1;
  }
}

if (process.argv[1] === import.meta.filename) {
  const drivers = await allDrivers();
  await update(registries, drivers);
  await update(brokers, drivers);
  process.exit();
}
