import { isIPv4 } from "node:net";
import { MicroError } from "../../base/error.ts";
import { type Logger, silentLogger } from "../../base/logger.ts";
import {
  callback,
  checkOptions,
  count,
  durationMs,
  logger,
  port,
  text,
} from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import { DeferredRegistry } from "../deferred-registry.ts";
import { type AllowAddress, allowLinkAddress } from "../link-address.ts";
import { defaultTtlMs, type Registry, type RegistryGuarantees } from "../registry.ts";
import { validateServiceName, validateTtl } from "../validate.ts";
import { type MulticastSettings, mdnsGuarantees } from "./settings.ts";
import { type MdnsStats, newCounters } from "./stats.ts";

/** Options for {@link mdnsRegistry}. */
export interface MdnsRegistryOptions {
  /** The domain of the services. Default `micro`, as in go-micro. */
  readonly domain?: string;
  /** The multicast group, an IPv4 address. Default `224.0.0.251`. */
  readonly group?: string;
  /** The UDP port, shared with every other mDNS program on the machine. Default 5353. */
  readonly port?: number;
  /**
   * Name or IPv4 address of the only network interface to use. Default: all interfaces, and the
   * loopback interface only if there is no other. With `127.0.0.1` no packet leaves the machine.
   */
  readonly interface?: string;
  /** How long a lookup waits for a service without any reply, in milliseconds. Default 500. */
  readonly timeoutMs?: number;
  /**
   * How long a go-micro node that does not reply is kept, in milliseconds. Nodes of this runtime
   * announce their own lifetime. Default 15,000.
   */
  readonly peerTtlMs?: number;
  /** Maximum number of services followed at once. Default 1,024. */
  readonly maxServices?: number;
  /** Which addresses records of other processes may contain. Default {@link allowLinkAddress}. */
  readonly allowAddress?: AllowAddress;
  readonly logger?: Logger;
}

/** The registry returned by {@link mdnsRegistry}. */
export interface MdnsRegistry extends Registry {
  /** The counters so far. */
  readonly stats: MdnsStats;
}

/**
 * Discovers services on this machine and the local network by multicast DNS (RFC 6762), without any
 * installation. It writes and reads go-micro's records (domain `micro`), so services of both find
 * each other.
 *
 * Nodes of this runtime announce themselves again every third of their ttl, and are removed when
 * they were not heard from within it. go-micro nodes announce themselves once, so they are queried,
 * and are removed when they no longer reply.
 *
 * Any machine on the network can announce anything: use this registry for development and on
 * networks you trust. The sockets are opened, and the DNS code is loaded, on the first operation.
 *
 * @throws MicroError `invalid_argument` for options that cannot work.
 *
 * @example
 * ```ts
 * import { createClient, mdnsRegistry } from "@micro-es/runtime";
 *
 * const client = createClient({ registry: mdnsRegistry({ interface: "192.168.1.7" }) });
 * ```
 */
export function mdnsRegistry(options: MdnsRegistryOptions = {}): MdnsRegistry {
  checkOptions("mdnsRegistry", options, {
    domain: text,
    group: text,
    port,
    interface: text,
    timeoutMs: durationMs(0),
    peerTtlMs: durationMs(1),
    maxServices: count,
    allowAddress: callback,
    logger,
  });
  return new UnopenedMdnsRegistry(settings(options));
}

class UnopenedMdnsRegistry extends DeferredRegistry<MdnsRegistry> implements MdnsRegistry {
  readonly name = "mdns";
  readonly guarantees: RegistryGuarantees = mdnsGuarantees;
  readonly #settings: MulticastSettings;

  constructor(settings: MulticastSettings) {
    super(settings.logger);
    this.#settings = settings;
  }

  get stats(): MdnsStats {
    return this.loaded?.stats ?? newCounters();
  }

  protected override async load(): Promise<MdnsRegistry> {
    const { MulticastRegistry } = await import("./multicast-registry.ts");
    return new MulticastRegistry(this.#settings);
  }
}

function settings(options: MdnsRegistryOptions): MulticastSettings {
  const { group = "224.0.0.251", port = 5_353, domain = "micro", timeoutMs = 500 } = options;
  const { peerTtlMs = defaultTtlMs, maxServices = 1_024 } = options;
  check("group", isIPv4(group) && /^2(2[4-9]|3\d)\./.test(group), "an IPv4 multicast address");
  check("port", Number.isInteger(port) && port > 0 && port < 65_536, "1 to 65535");
  check("timeoutMs", timeoutMs > 0 && timeoutMs <= 60_000, "1 to 60000 milliseconds");
  check("maxServices", Number.isInteger(maxServices) && maxServices > 0, "at least 1");
  return {
    group,
    port,
    timeoutMs,
    maxServices,
    domain: validateServiceName(domain),
    interface: options.interface,
    peerTtlMs: validateTtl(peerTtlMs),
    allowAddress: options.allowAddress ?? allowLinkAddress,
    logger: new PartLogger(options.logger, silentLogger),
  };
}

function check(option: string, valid: boolean, rule: string): void {
  if (valid) return;
  throw new MicroError("invalid_argument", `mdnsRegistry: ${option} must be ${rule}`, {
    outcome: "not-executed",
  });
}
