import { parseAddress } from "../base/address.ts";
import { BackendUrl } from "../base/backend-url.ts";
import { MicroError } from "../base/error.ts";
import type { LogLevel } from "../base/logger.ts";
import { shownValue } from "../base/redact.ts";
import { nearest } from "../base/suggest.ts";
import {
  anyText,
  countText,
  durationText,
  oneWord,
  portText,
  type TextValue,
} from "../base/text-value.ts";
import { type StrategyName, strategies } from "../selector/strategies.ts";
import { type ProtocolName, protocolNames } from "../transport/port/protocol-names.ts";

/** One `MICRO_*` variable: its meaning, its values, and how it is read. */
export interface EnvironmentVariable<T> extends TextValue<T> {
  readonly name: string;
  /** What it sets, in words. */
  readonly sets: string;
  /** What applies without it, in words. */
  readonly fallback: string;
}

/** The variables that {@link fromEnvironment} reads, such as `process.env`. */
export type EnvironmentValues = Readonly<Record<string, string | undefined>>;

/** What the environment can set; times are in milliseconds. */
export interface EnvironmentVariables {
  readonly name: EnvironmentVariable<string>;
  readonly version: EnvironmentVariable<string>;
  readonly metadata: EnvironmentVariable<Readonly<Record<string, string>>>;
  readonly address: EnvironmentVariable<string>;
  readonly advertise: EnvironmentVariable<string>;
  readonly backend: EnvironmentVariable<BackendUrl>;
  readonly registry: EnvironmentVariable<readonly BackendUrl[]>;
  readonly mdnsPort: EnvironmentVariable<number>;
  readonly mdnsInterface: EnvironmentVariable<string>;
  readonly gossipKey: EnvironmentVariable<readonly string[]>;
  readonly transport: EnvironmentVariable<BackendUrl>;
  readonly protocols: EnvironmentVariable<readonly ProtocolName[]>;
  readonly hosts: EnvironmentVariable<readonly string[]>;
  readonly corsOrigins: EnvironmentVariable<readonly string[]>;
  readonly broker: EnvironmentVariable<BackendUrl>;
  readonly brokerAddress: EnvironmentVariable<string>;
  readonly store: EnvironmentVariable<BackendUrl>;
  readonly sync: EnvironmentVariable<BackendUrl>;
  readonly config: EnvironmentVariable<readonly BackendUrl[]>;
  readonly drivers: EnvironmentVariable<readonly string[]>;
  readonly startTimeout: EnvironmentVariable<number>;
  readonly selector: EnvironmentVariable<StrategyName>;
  readonly timeout: EnvironmentVariable<number>;
  readonly maxConcurrentCalls: EnvironmentVariable<number>;
  readonly maxConcurrentStreams: EnvironmentVariable<number>;
  readonly ttl: EnvironmentVariable<number>;
  readonly drainDelay: EnvironmentVariable<number>;
  readonly grace: EnvironmentVariable<number>;
  readonly debugToken: EnvironmentVariable<string>;
  readonly logLevel: EnvironmentVariable<LogLevel>;
  readonly logFormat: EnvironmentVariable<"json" | "text">;
}

/** The URL of a backend, which selects its driver. */
function backendUrl(...examples: readonly string[]) {
  const shown = examples.map((example) => `\`${example}\``).join(", ");
  return {
    values: `URL of a [driver](drivers.md), such as ${shown}`,
    read: (text: string) => BackendUrl.parse(text),
  };
}

/**
 * Every variable that `createService`, `createClient` and `createServer` read. Options override
 * variables; variables override defaults. The table in docs/service.md is generated from this.
 */
export const environmentVariables: EnvironmentVariables = {
  name: {
    name: "MICRO_NAME",
    sets: "name of the service, unless the program sets it",
    values: "letters, digits, `-`, `_` and `.`",
    fallback: "none",
    read: anyText.read,
  },
  version: {
    name: "MICRO_VERSION",
    sets: "version, by which callers can select",
    values: "text without whitespace",
    fallback: "`latest`",
    read: anyText.read,
  },
  metadata: {
    name: "MICRO_METADATA",
    sets: "labels of the node, by which callers can select",
    values: "`key=value`, several separated by commas",
    fallback: "none",
    read: readPairs,
  },
  address: {
    name: "MICRO_ADDRESS",
    sets: "where the service listens",
    values: "`host:port`, `unix:/path` or `memory:name`; port 0 takes a free one",
    fallback: "`127.0.0.1:0`: this machine only, a free port",
    read: (text) => (isAddress(text) ? text : undefined),
  },
  advertise: {
    name: "MICRO_ADVERTISE",
    sets: "where others reach it, if not where it listens",
    values: "`host` or `host:port`",
    fallback: "where it listens; on all interfaces, the first private IPv4 address",
    read: (text) => (isAddress(text) || isAddress(`${text}:1`) ? text : undefined),
  },
  backend: {
    name: "MICRO_BACKEND",
    sets: "backend of every part that it has and no other variable names; listening stays with `MICRO_TRANSPORT`",
    fallback: "none",
    ...backendUrl("nats://10.0.0.5:4222"),
  },
  registry: {
    name: "MICRO_REGISTRY",
    sets: "how services find each other; several registries are [merged](discovery.md#several-registries)",
    values:
      "URL of a [driver](drivers.md), such as `mdns:?port=5354`, `memory:`, `etcd://10.0.0.5:2379`, or several separated by commas",
    fallback: "`mdns:`",
    read: readUrls,
  },
  mdnsPort: {
    name: "MICRO_MDNS_PORT",
    sets: "UDP port of the mDNS registry; each port is a separate fleet",
    fallback: "`5353`",
    ...portText,
  },
  mdnsInterface: {
    name: "MICRO_MDNS_INTERFACE",
    sets: "network interface of the mDNS registry",
    values: "its name or IPv4 address; with `127.0.0.1` nothing leaves this machine",
    fallback: "all",
    read: anyText.read,
  },
  gossipKey: {
    name: "MICRO_GOSSIP_KEY",
    sets: "key of the [gossip](gossip.md) registry; of several, the first seals and all open",
    values: "32 random bytes in base64 or hexadecimal, several separated by commas",
    fallback: "none",
    read: readKeys,
  },
  transport: {
    name: "MICRO_TRANSPORT",
    sets: "transport of calls",
    fallback: "`tcp:`",
    ...backendUrl("tcp:", "memory:", "nats://10.0.0.5:4222"),
  },
  protocols: {
    name: "MICRO_PROTOCOLS",
    sets: "protocols that the service speaks; others are refused",
    values: `${protocolNames.map((name) => `\`${name}\``).join(", ")}, several separated by commas`,
    fallback: "all of them",
    read: readProtocols,
  },
  hosts: {
    name: "MICRO_HOSTS",
    sets: "host names that HTTP requests may use",
    values: "names without a port, several separated by commas, or `*` for all",
    fallback: "`localhost` and loopback addresses if it listens on loopback, else all",
    read: readHosts,
  },
  corsOrigins: {
    name: "MICRO_CORS_ORIGINS",
    sets: "origins whose pages may call from a browser",
    values: "`https://host`, several separated by commas, or `*` for all",
    fallback: "none",
    read: readOrigins,
  },
  broker: {
    name: "MICRO_BROKER",
    sets: "broker of events",
    fallback: "`http:`",
    ...backendUrl("http://0.0.0.0:8081", "memory:", "nats://10.0.0.5:4222"),
  },
  brokerAddress: {
    name: "MICRO_BROKER_ADDRESS",
    sets: "where the HTTP broker receives events",
    values: "`host:port`; port 0 takes a free one",
    fallback: "the host of `MICRO_ADDRESS`, a free port",
    read: (text) => (isAddress(text) && !/^(?:unix|memory):/.test(text) ? text : undefined),
  },
  store: {
    name: "MICRO_STORE",
    sets: "where the store keeps its records",
    fallback: "`memory:`",
    ...backendUrl("memory:", "file:path/of/a/directory", "nats://10.0.0.5:4222"),
  },
  sync: {
    name: "MICRO_SYNC",
    sets: "where locks and elections are held",
    fallback: "`memory:`, in this process",
    ...backendUrl("memory:", "file:path/of/a/directory", "nats://10.0.0.5:4222"),
  },
  config: {
    name: "MICRO_CONFIG",
    sets: "sources of `service.config`; a later one wins",
    values:
      "URLs of [drivers](drivers.md), several separated by commas, such as `file:shop.yaml,env:SHOP_,nats://10.0.0.5:4222`",
    fallback: "none",
    read: readUrls,
  },
  drivers: {
    name: "MICRO_DRIVERS",
    sets: "packages that `loadDrivers` imports in addition to those that URLs name",
    values: "names of npm packages, several separated by commas",
    fallback: "none",
    read: readPackages,
  },
  startTimeout: {
    name: "MICRO_START_TIMEOUT",
    sets: "time that the first use of a backend waits for it; `0s` does not wait",
    fallback:
      "the driver's, `30s` for NATS, etcd, Consul, ZooKeeper, Redis, PostgreSQL, DNS, RabbitMQ and Pub/Sub",
    ...durationText,
  },
  selector: {
    name: "MICRO_SELECTOR",
    sets: "how the node of a call is selected",
    fallback: "`p2c`",
    ...oneWord(...(Object.keys(strategies) as StrategyName[])),
  },
  timeout: {
    name: "MICRO_TIMEOUT",
    sets: "default deadline of outgoing calls; overrides the schema's",
    fallback: "the schema's, else `30s`",
    ...durationText,
  },
  maxConcurrentCalls: {
    name: "MICRO_MAX_CONCURRENT_CALLS",
    sets: "concurrent unary calls; more are refused",
    fallback: "`1024`",
    ...countText(),
  },
  maxConcurrentStreams: {
    name: "MICRO_MAX_CONCURRENT_STREAMS",
    sets: "concurrent streaming calls; more are refused",
    fallback: "`16384`",
    ...countText(),
  },
  ttl: {
    name: "MICRO_TTL",
    sets: "time after which the registry drops a killed process",
    fallback: "`15s`",
    ...durationText,
  },
  drainDelay: {
    name: "MICRO_DRAIN_DELAY",
    sets: "time between leaving the registry and refusing calls",
    fallback: "`250ms`",
    ...durationText,
  },
  grace: {
    name: "MICRO_GRACE",
    sets: "time for calls and events in flight to finish at a stop",
    fallback: "`10s`",
    ...durationText,
  },
  debugToken: {
    name: "MICRO_DEBUG_TOKEN",
    sets: "token that callers of the debug service send, `micro stats` and `micro logs` too",
    values: "text without whitespace; use 32 random characters",
    fallback: "none: available on loopback addresses and Unix sockets only",
    read: (text) => (/^[!-~]+$/.test(text) ? text : undefined),
  },
  logLevel: {
    name: "MICRO_LOG_LEVEL",
    sets: "minimum log level",
    fallback: "`info`",
    ...oneWord<LogLevel>("debug", "info", "warn", "error", "silent"),
  },
  logFormat: {
    name: "MICRO_LOG_FORMAT",
    sets: "format of log lines on standard error",
    fallback: "`text` on a terminal, `json` elsewhere",
    ...oneWord("json", "text"),
  },
};

/**
 * The value of a variable; undefined if it is unset or empty.
 * @throws MicroError `invalid_argument` that names the variable, its value and the allowed values.
 */
export function fromEnvironment<T>(
  variable: EnvironmentVariable<T>,
  values: EnvironmentValues,
): T | undefined {
  const text = values[variable.name];
  if (text === undefined || text === "") return undefined;
  const value = variable.read(text);
  if (value !== undefined) return value;
  const allowed = inPlainText(variable.values);
  const shown = JSON.stringify(shownValue(variable.name, text).slice(0, 200));
  throw new MicroError(
    "invalid_argument",
    `${variable.name}=${shown} is not allowed: it sets ${inPlainText(variable.sets)}; allowed: ${allowed}`,
    { outcome: "not-executed" },
  );
}

/** A description without its Markdown. */
function inPlainText(description: string): string {
  return description.replaceAll("`", "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
}

/** Variables of earlier versions that are no longer read, with their replacements. */
export const retiredVariables: Readonly<Record<string, string>> = {
  MICRO_NATS_URL:
    "set MICRO_BACKEND to the same URL, and pass services the driver: drivers: await loadDrivers()",
};

/**
 * Warnings about variables that resemble one of ours but do not exist, so that a typing error does
 * not go unnoticed. Variables without such a resemblance are the program's own.
 */
export function suggestMisspelled(values: EnvironmentValues): readonly string[] {
  const known = Object.values(environmentVariables).map(({ name }) => name);
  return Object.keys(values).flatMap((name) => {
    if (!name.startsWith("MICRO_") || known.includes(name)) return [];
    if (Object.hasOwn(retiredVariables, name)) {
      return [`${name} is no longer read; ${retiredVariables[name]}`];
    }
    const meant = nearest(name, known, 2);
    return meant === undefined ? [] : [`${name} is not read by anything; ${meant} is`];
  });
}

function readKeys(text: string): readonly string[] | undefined {
  const keys = text.split(",").map((key) => key.trim());
  return keys.every((key) => /^[\w+/-]{43,64}=?$/.test(key)) ? keys : undefined;
}

function readPairs(text: string): Readonly<Record<string, string>> | undefined {
  const pairs = text.split(",").map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]));
}

/**
 * A comma within a URL separates its hosts: it is followed by a host, a port or a user, not by a
 * scheme.
 */
const betweenUrls = /,(?=\s*[a-z][a-z\d+.-]*:(?!\d+(?:[,;/?#\s]|$))(?![^/,?#]*@))/i;

/** The URLs in a variable that takes several. */
export function splitUrls(text: string): readonly string[] {
  return text.split(betweenUrls);
}

function readUrls(text: string): readonly BackendUrl[] | undefined {
  const urls = splitUrls(text).map((url) => BackendUrl.parse(url));
  return urls.every((url) => url !== undefined) ? urls : undefined;
}

function readPackages(text: string): readonly string[] | undefined {
  const names = text.split(",").map((name) => name.trim());
  return names.every((name) => /^(?:@[\w.-]+\/)?\w[\w.-]*$/.test(name)) ? names : undefined;
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text);
    return true;
  } catch {
    return false;
  }
}

function readProtocols(text: string): readonly ProtocolName[] | undefined {
  const names = text.split(",").map((name) => name.trim() as ProtocolName);
  return names.every((name) => protocolNames.includes(name)) ? names : undefined;
}

function readOrigins(text: string): readonly string[] | undefined {
  const origins = text.split(",").map((origin) => origin.trim());
  return origins.every(isOrigin) ? origins : undefined;
}

function readHosts(text: string): readonly string[] | undefined {
  const hosts = text.split(",").map((host) => host.trim());
  return hosts.every((host) => /^(?:\*|[\w-]+(?:\.[\w-]+)*|\[[\da-f:.]+\])$/i.test(host))
    ? hosts
    : undefined;
}

function isOrigin(text: string): boolean {
  if (text === "*") return true;
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}
