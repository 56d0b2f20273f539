import { isIPv4 } from "node:net";
import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { MicroError } from "../error.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { type AllowAddress, allowLinkAddress } from "./link-address.ts";
import { type MulticastSettings, mdnsGuarantees } from "./mdns/settings.ts";
import { type MdnsStats, newCounters } from "./mdns/stats.ts";
import {
  defaultTtlMs,
  type Node,
  type RegisterOptions,
  type Registration,
  type Registry,
  type RegistryEvent,
  type RegistryGuarantees,
} from "./registry.ts";
import { validateServiceName, validateTtl } from "./validate.ts";

/** Options of {@link mdnsRegistry}. */
export interface MdnsRegistryOptions {
  /** The domain that services are in. Default `micro`, as go-micro's. */
  readonly domain?: string;
  /** The multicast group, an IPv4 address. Default `224.0.0.251`. */
  readonly group?: string;
  /** The UDP port, shared with every other mDNS program of the machine. Default 5353. */
  readonly port?: number;
  /**
   * Name or IPv4 address of the one network interface to use. Default: all that there are, and the
   * loopback interface only when there is no other. With `127.0.0.1` nothing leaves the machine.
   */
  readonly interface?: string;
  /** How long a service that nobody answers for is waited for, in milliseconds. Default 500. */
  readonly timeoutMs?: number;
  /**
   * How long a go-micro node is kept that does not answer, in milliseconds. Nodes of this runtime say
   * themselves how long they are good for. Default 15,000.
   */
  readonly peerTtlMs?: number;
  /** The most services that are followed at once. Default 1,024. */
  readonly maxServices?: number;
  /** Which addresses records of other processes may name. Default {@link allowLinkAddress}. */
  readonly allowAddress?: AllowAddress;
  readonly logger?: Logger;
}

/** What {@link mdnsRegistry} returns. */
export interface MdnsRegistry extends Registry {
  /** What was counted so far. */
  readonly stats: MdnsStats;
}

/**
 * Finds services on this machine and the local network by multicast DNS (RFC 6762), with nothing
 * installed. It writes and reads go-micro's records (domain `micro`), so services of both find each other.
 *
 * Nodes of this runtime announce themselves again at every third of their ttl, and disappear when they
 * were not heard of within it. go-micro announces once, so its nodes are asked, and disappear when they no
 * longer answer.
 *
 * Anybody on the network can announce anything: use it on networks you trust, and for development. The
 * sockets open with the first operation, and what speaks DNS is loaded with it.
 *
 * @throws MicroError `invalid_argument` for options that cannot work.
 */
export function mdnsRegistry(options: MdnsRegistryOptions = {}): MdnsRegistry {
  return new LoadedWhenUsed(settings(options));
}

/** The registry before its first operation, which loads the one that all are then passed on to. */
class LoadedWhenUsed implements MdnsRegistry {
  readonly name = "mdns";
  readonly guarantees: RegistryGuarantees = mdnsGuarantees;
  readonly #settings: MulticastSettings;
  readonly #status = new BackendStatus();
  #loading: Promise<MdnsRegistry> | undefined;
  #loaded: MdnsRegistry | undefined;
  #closed = false;

  constructor(settings: MulticastSettings) {
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

  async register(node: Node, options?: RegisterOptions): Promise<Registration> {
    return (await this.#load()).register(node, options);
  }

  async get(name: string, options?: { readonly signal?: AbortSignal }): Promise<readonly Node[]> {
    return (await this.#load()).get(name, options);
  }

  async list(options?: { readonly signal?: AbortSignal }): Promise<readonly string[]> {
    return (await this.#load()).list(options);
  }

  watch(name: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<RegistryEvent> {
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

  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#loading)?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #load(): Promise<MdnsRegistry> {
    this.#loading ??= this.#make();
    return this.#loading;
  }

  async #make(): Promise<MdnsRegistry> {
    const { MulticastRegistry } = await import("./mdns/multicast-registry.ts");
    const registry = new MulticastRegistry(this.#settings);
    registry.onStateChange((state, reason) => this.#status.set(state, reason));
    this.#loaded = registry;
    // A closed one says so to whoever still uses it.
    if (this.#closed) await registry.close();
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
    logger: options.logger ?? silentLogger,
  };
}

function check(option: string, valid: boolean, rule: string): void {
  if (valid) return;
  throw new MicroError("invalid_argument", `mdnsRegistry: ${option} must be ${rule}`, {
    outcome: "not-executed",
  });
}
