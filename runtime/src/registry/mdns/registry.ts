import { isIPv4 } from "node:net";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
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
import { type AllowAddress, allowLinkAddress } from "../link-address.ts";
import { checkReadOptions } from "../option-kinds.ts";
import {
  defaultTtlMs,
  type Node,
  type RegisterOptions,
  type Registration,
  type Registry,
  type RegistryEvent,
  type RegistryGuarantees,
} from "../registry.ts";
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
  return new LoadedWhenUsed(settings(options));
}

/** Loads the actual registry on the first operation, and forwards every operation to it. */
class LoadedWhenUsed extends Closable implements MdnsRegistry {
  readonly name = "mdns";
  readonly guarantees: RegistryGuarantees = mdnsGuarantees;
  readonly #settings: MulticastSettings;
  readonly #status = new BackendStatus();
  #loading: Promise<MdnsRegistry> | undefined;
  #loaded: MdnsRegistry | undefined;

  constructor(settings: MulticastSettings) {
    super();
    this.#settings = settings;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  get stats(): MdnsStats {
    return this.#loaded?.stats ?? newCounters();
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    this.#settings.logger.use(logger);
  }

  async register(node: Node, options?: RegisterOptions): Promise<Registration> {
    return (await this.#load()).register(node, options);
  }

  async get(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    checkReadOptions(`get ${name}`, options);
    return (await this.#load()).get(name, options);
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    return (await this.#load()).list(options);
  }

  watch(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${name}`, options);
    validateServiceName(name);
    return {
      [Symbol.asyncIterator]: () => {
        const watching = this.#load().then((registry) =>
          registry.watch(name, options)[Symbol.asyncIterator](),
        );
        return {
          next: async () => (await watching).next(),
          return: async () =>
            (await (await watching).return?.()) ?? { done: true, value: undefined },
        };
      },
    };
  }

  protected override async closeOnce(): Promise<void> {
    await (await this.#loading)?.close();
  }

  #load(): Promise<MdnsRegistry> {
    this.#loading ??= this.#make();
    return this.#loading;
  }

  async #make(): Promise<MdnsRegistry> {
    const { MulticastRegistry } = await import("./multicast-registry.ts");
    const registry = new MulticastRegistry(this.#settings);
    registry.onStateChange((state, reason) => this.#status.set(state, reason));
    this.#loaded = registry;
    // A closed registry reports that to callers that still use it.
    if (this.isClosing) await registry.close();
    return registry;
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
