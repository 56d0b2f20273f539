import { type BackendUrl, readParameters, requireBareUrl } from "../base/backend-url.ts";
import { MicroError } from "../base/error.ts";
import { omitUndefined } from "../base/omit-undefined.ts";
import { anyText, durationText, flagText, oneWord, portText } from "../base/text-value.ts";
import { httpBroker } from "../broker/http/broker.ts";
import { memoryBroker } from "../broker/memory/broker.ts";
import { envSource } from "../config/env/source.ts";
import { fileSource } from "../config/file/source.ts";
import { gossipRegistry } from "../registry/gossip/registry.ts";
import { type GossipProfile, gossipProfiles } from "../registry/gossip/timing.ts";
import { mdnsRegistry } from "../registry/mdns/registry.ts";
import { memoryRegistry } from "../registry/memory/registry.ts";
import { staticRegistry } from "../registry/static/registry.ts";
import { fileStore } from "../store/file/store.ts";
import { memoryStore } from "../store/memory/store.ts";
import { fileSync } from "../sync/file/sync.ts";
import { memorySync } from "../sync/memory/sync.ts";
import { memoryTransport } from "../transport/memory/transport.ts";
import { onlyProtocols, protocolNames } from "../transport/port/protocol-names.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import type { Driver } from "./driver.ts";
import { fromEnvironment, environmentVariables as variables } from "./environment.ts";

/** These drivers share nothing that would have to be closed after their parts. */
const close = async () => {};

const memory: Driver = {
  schemes: ["memory"],
  open(url, { logger }) {
    requireBareUrl(url);
    readParameters(url, {});
    return {
      registry: () => memoryRegistry(),
      broker: () => memoryBroker({ logger }),
      store: () => memoryStore(),
      sync: () => memorySync(),
      transport: () => memoryTransport(),
      close,
    };
  },
};

const file: Driver = {
  schemes: ["file"],
  open(url) {
    const path = filePath(url);
    const { watch } = readParameters(url, { watch: flagText });
    return {
      store: () => fileStore({ path }),
      sync: () => fileSync({ path }),
      config: () => fileSource(path, omitUndefined({ watch })),
      close,
    };
  },
};

const env: Driver = {
  schemes: ["env"],
  open(url, { environment }) {
    readParameters(url, {});
    const prefix = url.path;
    if (prefix === "" || url.hosts.length > 0) {
      throw invalid("env: takes the prefix of the variables that are read, such as env:SHOP_");
    }
    return { config: () => envSource({ prefix, env: environment }), close };
  },
};

const mdns: Driver = {
  schemes: ["mdns"],
  open(url, { logger, environment }) {
    requireBareUrl(url);
    const parameters = readParameters(url, { port: portText, interface: anyText });
    return {
      registry() {
        const port = parameters.port ?? fromEnvironment(variables.mdnsPort, environment);
        const networkInterface =
          parameters.interface ?? fromEnvironment(variables.mdnsInterface, environment);
        return mdnsRegistry({ logger, ...omitUndefined({ port, interface: networkInterface }) });
      },
      close,
    };
  },
};

const fixed: Driver = {
  schemes: ["static"],
  open(url) {
    readParameters(url, {});
    const services = addressesIn(url);
    return { registry: () => staticRegistry({ services }), close };
  },
};

const gossip: Driver = {
  schemes: ["gossip"],
  open(url, { logger, environment }) {
    const parameters = readParameters(url, {
      bind: anyText,
      advertise: anyText,
      keyFile: anyText,
      insecure: flagText,
      profile: oneWord(...(Object.keys(gossipProfiles) as GossipProfile[])),
      period: durationText,
      joinTimeout: durationText,
    });
    if (url.password !== undefined || url.path !== "") {
      throw invalid("gossip: takes seeds and a key, such as gossip://KEY@10.0.0.5:7946,10.0.0.6");
    }
    const { period: periodMs, joinTimeout: joinTimeoutMs, ...rest } = parameters;
    return {
      registry() {
        const isKeyed = parameters.keyFile !== undefined || parameters.insecure === true;
        const shared = isKeyed ? undefined : fromEnvironment(variables.gossipKey, environment);
        const key = url.username ?? shared;
        const options = { ...rest, key, periodMs, joinTimeoutMs };
        return gossipRegistry({ logger, seeds: url.hosts, ...omitUndefined(options) });
      },
      close,
    };
  },
};

const tcp: Driver = {
  schemes: ["tcp"],
  open(url, { environment }) {
    requireBareUrl(url);
    readParameters(url, {});
    return {
      transport() {
        const protocols = fromEnvironment(variables.protocols, environment) ?? protocolNames;
        const { http, ...others } = onlyProtocols(protocols);
        const origins = fromEnvironment(variables.corsOrigins, environment);
        return tcpTransport({
          ...others,
          http: { ...http, ...(origins !== undefined && { cors: { origins } }) },
          ...omitUndefined({ hosts: fromEnvironment(variables.hosts, environment) }),
        });
      },
      close,
    };
  },
};

const http: Driver = {
  schemes: ["http"],
  open(url, context) {
    readParameters(url, {});
    if (url.path !== "" || url.username !== undefined) {
      throw invalid("http: takes where the broker listens, such as http://0.0.0.0:8081");
    }
    return {
      broker() {
        const { environment, logger } = context;
        // Its events arrive on the same network interface as the service's calls.
        const own = hostOf(context.address()) ?? "127.0.0.1";
        const address =
          url.hosts[0] ?? fromEnvironment(variables.brokerAddress, environment) ?? `${own}:0`;
        const advertise = hostOf(fromEnvironment(variables.advertise, environment));
        return httpBroker({
          registry: context.registry(),
          logger,
          address,
          ...omitUndefined({ advertise, hosts: fromEnvironment(variables.hosts, environment) }),
        });
      },
      close,
    };
  },
};

/** The drivers of the backends that need no installation; every program has them. */
export const builtInDrivers: readonly Driver[] = [
  memory,
  file,
  env,
  mdns,
  fixed,
  gossip,
  tcp,
  http,
];

function filePath(url: BackendUrl): string {
  if (url.hosts.length === 0 && url.username === undefined && url.path !== "") return url.path;
  throw invalid("file: takes a path, such as file:data/store or file:///var/lib/shop");
}

/** The addresses of each service in `static:greeter=10.0.0.5:8080,10.0.0.6:8080;shop=…`. */
function addressesIn({ hosts, username, path }: BackendUrl): Record<string, string[]> {
  const services: Record<string, string[]> = {};
  const isBare = hosts.length === 0 && username === undefined;
  for (const part of isBare ? path.split(";") : []) {
    const [, service, addresses] = /^\s*([\w.-]+)\s*=(.*)$/.exec(part) ?? [];
    if (service === undefined || addresses === undefined || Object.hasOwn(services, service)) {
      throw invalid(`static: cannot read ${JSON.stringify(part.slice(0, 200))}; ${staticHint}`);
    }
    services[service] = addresses.split(",").map((address) => address.trim());
  }
  if (Object.keys(services).length === 0) throw invalid(`static: names no service; ${staticHint}`);
  return services;
}

const staticHint =
  "it takes each service once, with its addresses, such as static:greeter=10.0.0.5:8080,10.0.0.6:8080;shop=10.0.0.7:8080";

/** The host of `host:port` or of a lone host, IPv6 in brackets; undefined for other addresses. */
function hostOf(address: string | undefined): string | undefined {
  const host = address?.replace(/:\d+$/, "");
  // An address of another kind, such as unix:/path, has a colon outside of brackets.
  return host?.replace(/^\[.*\]$/, "").includes(":") ? undefined : host;
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
