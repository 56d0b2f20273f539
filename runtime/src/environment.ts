import { parseAddress } from "./address.ts";
import { MicroError } from "./error.ts";
import type { LogLevel } from "./logger.ts";
import { type StrategyName, strategies } from "./selector/strategies.ts";
import { nearest } from "./server/nearest.ts";

/** One `MICRO_*` variable: what it means, which values it takes, and how it is read. */
export interface EnvironmentVariable<T> {
  readonly name: string;
  /** What it sets, in words. */
  readonly sets: string;
  /** The values that are allowed, in words. */
  readonly values: string;
  /** What holds without it, in words. */
  readonly fallback: string;
  /** The value that a text stands for; undefined when it is not allowed. */
  read(text: string): T | undefined;
}

/** Where {@link fromEnvironment} looks; `process.env` is one. */
export type EnvironmentValues = Readonly<Record<string, string | undefined>>;

/** Where the default store keeps its records, or the default sync its locks. */
export type StoreChoice =
  | { readonly kind: "memory" }
  | { readonly kind: "file"; readonly path: string };

/** What can be set from outside; times are in milliseconds. */
export interface EnvironmentVariables {
  readonly name: EnvironmentVariable<string>;
  readonly version: EnvironmentVariable<string>;
  readonly metadata: EnvironmentVariable<Readonly<Record<string, string>>>;
  readonly address: EnvironmentVariable<string>;
  readonly advertise: EnvironmentVariable<string>;
  readonly registry: EnvironmentVariable<"mdns" | "memory">;
  readonly mdnsPort: EnvironmentVariable<number>;
  readonly mdnsInterface: EnvironmentVariable<string>;
  readonly transport: EnvironmentVariable<"tcp" | "memory">;
  readonly corsOrigins: EnvironmentVariable<readonly string[]>;
  readonly broker: EnvironmentVariable<"http" | "memory">;
  readonly brokerAddress: EnvironmentVariable<string>;
  readonly store: EnvironmentVariable<StoreChoice>;
  readonly sync: EnvironmentVariable<StoreChoice>;
  readonly natsUrl: EnvironmentVariable<string>;
  readonly selector: EnvironmentVariable<StrategyName>;
  readonly timeout: EnvironmentVariable<number>;
  readonly maxConcurrentCalls: EnvironmentVariable<number>;
  readonly maxConcurrentStreams: EnvironmentVariable<number>;
  readonly ttl: EnvironmentVariable<number>;
  readonly drainDelay: EnvironmentVariable<number>;
  readonly grace: EnvironmentVariable<number>;
  readonly logLevel: EnvironmentVariable<LogLevel>;
  readonly logFormat: EnvironmentVariable<"json" | "text">;
}

function oneOf<const T extends string>(...allowed: readonly T[]) {
  return {
    values: allowed.map((value) => `\`${value}\``).join(", "),
    read: (text: string) => allowed.find((value) => value === text),
  };
}

const duration = { values: "a time such as `500ms`, `10s`, `2m`", read: readDuration };
const count = { values: "a whole number from 1", read: (text: string) => readInteger(text, 1) };
const anyText = { read: (text: string): string | undefined => text };

/**
 * Every variable that `createService`, `createClient` and `createServer` read. An option goes over its variable,
 * a variable over the default. The table in docs/service.md is made from this.
 */
export const environmentVariables: EnvironmentVariables = {
  name: {
    name: "MICRO_NAME",
    sets: "name of the service, where the program gives none",
    values: "letters, digits, `-`, `_` and `.`",
    fallback: "none",
    ...anyText,
  },
  version: {
    name: "MICRO_VERSION",
    sets: "version that callers can choose by",
    values: "text without blanks",
    fallback: "`latest`",
    ...anyText,
  },
  metadata: {
    name: "MICRO_METADATA",
    sets: "labels of the node that callers can choose by",
    values: "`key=value`, more after commas",
    fallback: "none",
    read: readPairs,
  },
  address: {
    name: "MICRO_ADDRESS",
    sets: "where the service listens",
    values: "`host:port`, `unix:/path` or `memory:name`; port 0 takes a free one",
    fallback: "`0.0.0.0:0`",
    read: (text) => (isAddress(text) ? text : undefined),
  },
  advertise: {
    name: "MICRO_ADVERTISE",
    sets: "where others reach it, when that is not where it listens",
    values: "`host` or `host:port`",
    fallback: "where it listens; on all interfaces, the first private IPv4 address",
    read: (text) => (isAddress(text) || isAddress(`${text}:1`) ? text : undefined),
  },
  registry: {
    name: "MICRO_REGISTRY",
    sets: "how services find each other",
    fallback: "`mdns`",
    ...oneOf("mdns", "memory"),
  },
  mdnsPort: {
    name: "MICRO_MDNS_PORT",
    sets: "UDP port of the mDNS registry; another port is a fleet of its own",
    values: "1 to 65535",
    fallback: "`5353`",
    read: (text) => readInteger(text, 1, 65_535),
  },
  mdnsInterface: {
    name: "MICRO_MDNS_INTERFACE",
    sets: "network interface of the mDNS registry",
    values: "its name or IPv4 address; with `127.0.0.1` nothing leaves this machine",
    fallback: "all there are",
    ...anyText,
  },
  transport: {
    name: "MICRO_TRANSPORT",
    sets: "what carries calls",
    fallback: "`tcp`",
    ...oneOf("tcp", "memory"),
  },
  corsOrigins: {
    name: "MICRO_CORS_ORIGINS",
    sets: "origins whose pages may call from a browser",
    values: "`https://host`, more after commas, or `*` for all",
    fallback: "none",
    read: readOrigins,
  },
  broker: {
    name: "MICRO_BROKER",
    sets: "what carries events",
    fallback: "`http`",
    ...oneOf("http", "memory"),
  },
  brokerAddress: {
    name: "MICRO_BROKER_ADDRESS",
    sets: "where the HTTP broker takes events",
    values: "`host:port`; port 0 takes a free one",
    fallback: "the host of `MICRO_ADDRESS`, a free port",
    read: (text) => (isAddress(text) && !/^(?:unix|memory):/.test(text) ? text : undefined),
  },
  store: {
    name: "MICRO_STORE",
    sets: "where the store keeps its records",
    values: "`memory`, `file:path/of/a/directory`",
    fallback: "`memory`",
    read: readStore,
  },
  sync: {
    name: "MICRO_SYNC",
    sets: "where locks and elections are held",
    values: "`memory` for this process, `file:path/of/a/directory` for this host",
    fallback: "`memory`",
    read: readStore,
  },
  natsUrl: {
    name: "MICRO_NATS_URL",
    sets: "NATS servers of drivers that name none; it chooses no driver",
    values: "`nats://host:port`, `tls://user:password@host:port`, more after commas",
    fallback: "`nats://127.0.0.1:4222`",
    ...anyText,
  },
  selector: {
    name: "MICRO_SELECTOR",
    sets: "how the node for a call is chosen",
    fallback: "`p2c`",
    ...oneOf(...(Object.keys(strategies) as StrategyName[])),
  },
  timeout: {
    name: "MICRO_TIMEOUT",
    sets: "deadline of outgoing calls that name none themselves; it goes over the schema's",
    fallback: "the schema's, else `30s`",
    ...duration,
  },
  maxConcurrentCalls: {
    name: "MICRO_MAX_CONCURRENT_CALLS",
    sets: "unary calls that are answered at once; more are refused",
    fallback: "`1024`",
    ...count,
  },
  maxConcurrentStreams: {
    name: "MICRO_MAX_CONCURRENT_STREAMS",
    sets: "streaming calls that are open at once; more are refused",
    fallback: "`16384`",
    ...count,
  },
  ttl: {
    name: "MICRO_TTL",
    sets: "time after which a killed process is gone from the registry",
    fallback: "`15s`",
    ...duration,
  },
  drainDelay: {
    name: "MICRO_DRAIN_DELAY",
    sets: "time between leaving the registry and refusing calls",
    fallback: "`250ms`",
    ...duration,
  },
  grace: {
    name: "MICRO_GRACE",
    sets: "time for what is in flight to finish at a stop",
    fallback: "`10s`",
    ...duration,
  },
  logLevel: {
    name: "MICRO_LOG_LEVEL",
    sets: "the least level that is logged",
    fallback: "`info`",
    ...oneOf<LogLevel>("debug", "info", "warn", "error", "silent"),
  },
  logFormat: {
    name: "MICRO_LOG_FORMAT",
    sets: "how log lines are written to standard error",
    fallback: "`text` on a terminal, `json` elsewhere",
    ...oneOf("json", "text"),
  },
};

/**
 * The value of a variable; undefined when it is not set or empty.
 * @throws MicroError `invalid_argument` that names variable, value and what is allowed.
 */
export function fromEnvironment<T>(
  variable: EnvironmentVariable<T>,
  values: EnvironmentValues,
): T | undefined {
  const text = values[variable.name];
  if (text === undefined || text === "") return undefined;
  const value = variable.read(text);
  if (value !== undefined) return value;
  const allowed = variable.values.replaceAll("`", "");
  throw new MicroError(
    "invalid_argument",
    `${variable.name}=${JSON.stringify(text.slice(0, 200))} is not allowed: it sets ${variable.sets}; allowed: ${allowed}`,
    { outcome: "not-executed" },
  );
}

/**
 * What to say of variables that look like one of ours and are none, so that a typing error does not pass in
 * silence. Variables that resemble none are the program's own.
 */
export function misspelled(values: EnvironmentValues): readonly string[] {
  const known = Object.values(environmentVariables).map(({ name }) => name);
  return Object.keys(values).flatMap((name) => {
    if (!name.startsWith("MICRO_") || known.includes(name)) return [];
    const meant = nearest(name, known, 2);
    return meant === undefined ? [] : [`${name} is not read by anything; ${meant} is`];
  });
}

function readDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ""];
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}

function readInteger(text: string, least: number, most: number = 2 ** 31): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

function readPairs(text: string): Readonly<Record<string, string>> | undefined {
  const pairs = text.split(",").map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]));
}

function readStore(text: string): StoreChoice | undefined {
  if (text === "memory") return { kind: "memory" };
  const path = text.startsWith("file:") ? text.slice("file:".length) : "";
  return path === "" ? undefined : { kind: "file", path };
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text);
    return true;
  } catch {
    return false;
  }
}

function readOrigins(text: string): readonly string[] | undefined {
  const origins = text.split(",").map((origin) => origin.trim());
  return origins.every(isOrigin) ? origins : undefined;
}

function isOrigin(text: string): boolean {
  if (text === "*") return true;
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}
