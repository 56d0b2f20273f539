import {
  asMicroError,
  type BackendState,
  type Logger,
  MicroError,
  type Registry,
} from "@micro-es/runtime";
import {
  checkOptions,
  durationMs,
  FollowedRegistry,
  type Following,
  flag,
  labels,
  logger,
  type NodeBackend,
  type NodeFollower,
  port,
  type RegistrationClaim,
  type RegistryGuarantees,
  type RenewedRegistration,
  readOnlyError,
  type StateListener,
  texts,
} from "@micro-es/runtime/driver";
import { DnsLink } from "../link/link.ts";
import { type DnsServer, parseServer } from "../link/servers.ts";
import { FollowedName } from "./followed-name.ts";
import { type KnownTargets, lookUpAddresses, lookUpServices } from "./look-up.ts";
import { addressTemplate, domainKind, nameOf, serviceTemplate, templateKind } from "./names.ts";

/** Where a {@link dnsRegistry} looks services up. */
export interface DnsRegistryOptions {
  /** The domain that the names of services are in, such as `shop.svc.cluster.local`. */
  readonly domain?: string;
  /**
   * The name of a service, with `{service}` and `{domain}` in it. Default
   * `_{service}._tcp.{domain}`, and `{service}.{domain}` with {@link port}.
   */
  readonly name?: string;
  /**
   * The port of all services. With it, names are looked up for addresses (A, AAAA) instead of SRV
   * records.
   */
  readonly port?: number;
  /** DNS servers as `ip` or `ip:port`, asked in turn. Default: those of the system. */
  readonly servers?: readonly string[];
  /** Asks by TCP only, for services with more nodes than fit into a response by UDP. */
  readonly tcp?: boolean;
  /** Labels of all nodes; `{ protocol: "grpc" }` is for servers that only speak gRPC. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long the first lookup waits for a server, in milliseconds. Default 30,000. */
  readonly startTimeoutMs?: number;
  readonly logger?: Logger;
}

const defaultStartTimeoutMs = 30_000;

/**
 * A registry that finds services in DNS: by SRV records, or by addresses and a port. It is only
 * read: the writer of the zone, such as Kubernetes or Consul, decides what exists. A service is
 * looked up again at the time to live of its records, of 1 to 60 s. While no server responds the
 * last known nodes stay.
 *
 * The id of a node is `target:port`; priority and weight of its SRV record are in its metadata.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { dnsRegistry } from "@micro-es/dns";
 * import { createClient } from "@micro-es/runtime";
 *
 * const client = createClient({
 *   registry: dnsRegistry({ domain: "shop.svc.cluster.local", port: 8080 }),
 * });
 * ```
 */
export function dnsRegistry(options: DnsRegistryOptions): Registry {
  checkOptions("dnsRegistry", options, {
    domain: domainKind,
    name: templateKind,
    port,
    servers: texts,
    tcp: flag,
    metadata: labels,
    startTimeoutMs: durationMs(0),
    logger,
  });
  return new FollowedRegistry(new DnsNodes(options), options.logger);
}

/** The names of services in DNS. */
class DnsNodes implements NodeBackend {
  readonly name = "dns";
  readonly expiry = "backend";
  readonly guarantees: RegistryGuarantees = {
    registers: false,
    reach: "backend",
    consistency: "eventual",
    liveness: "none",
  };
  readonly link: DnsLink;
  readonly #options: DnsRegistryOptions;
  readonly #template: string;
  readonly #domain: string;
  readonly #followed = new Map<string, FollowedName>();

  constructor(options: DnsRegistryOptions) {
    const { port, name = port === undefined ? serviceTemplate : addressTemplate } = options;
    if (name.includes("{domain}") && options.domain === undefined) {
      throw invalid("needs a domain, for example shop.svc.cluster.local");
    }
    this.#options = options;
    this.#template = name;
    this.#domain = options.domain ?? "";
    this.link = new DnsLink({
      servers: options.servers?.map(serverOf),
      overTcp: options.tcp ?? false,
    });
  }

  get state(): BackendState {
    return this.link.status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.link.status.onStateChange(listener);
  }

  readonly failure = (error: unknown, what: string): MicroError => {
    const { code, message, outcome } = asMicroError(error, "unavailable");
    return new MicroError(code, `cannot ${what}: ${message}`, { outcome, cause: error });
  };

  follow(service: string, follower: NodeFollower): Following {
    const name = nameOf(this.#template, service, this.#domain);
    const { port, metadata = {}, startTimeoutMs = defaultStartTimeoutMs } = this.#options;
    const known: KnownTargets = new Map();
    const followed = new FollowedName(
      {
        link: this.link,
        service,
        metadata,
        startTimeoutMs,
        lookUp: (signal) => {
          const ask = (question: Parameters<DnsLink["ask"]>[0]) => this.link.ask(question, signal);
          return port === undefined
            ? lookUpServices(ask, name, known)
            : lookUpAddresses(ask, name, port);
        },
      },
      follower,
    );
    this.#followed.set(service, followed);
    return {
      get isCurrent() {
        return followed.isCurrent;
      },
      close: () => {
        if (this.#followed.get(service) === followed) this.#followed.delete(service);
        return followed.close();
      },
    };
  }

  /** DNS has no list of names: those that this process follows, and that have a node. */
  async names(): Promise<readonly string[]> {
    return [...this.#followed].flatMap(([service, { hasNodes }]) => (hasNodes ? [service] : []));
  }

  registration({ node }: RegistrationClaim): RenewedRegistration {
    throw readOnlyError(this.name, node, "a zone is written by others");
  }

  close(): Promise<void> {
    return this.link.close();
  }
}

function serverOf(text: string): DnsServer {
  const server = parseServer(text);
  if (server !== undefined) return server;
  throw invalid(
    `${JSON.stringify(text)} is not a DNS server; use its IP address, with or without a port`,
  );
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", `dnsRegistry: ${message}`, { outcome: "not-executed" });
}
