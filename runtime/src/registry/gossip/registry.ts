import { isIP } from "node:net";
import { MicroError } from "../../base/error.ts";
import { isLocalAddress } from "../../base/local-address.ts";
import { type Logger, silentLogger } from "../../base/logger.ts";
import {
  callback,
  checkOptions,
  durationMs,
  either,
  flag,
  logger,
  oneOf,
  secret,
  text,
  texts,
} from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import { DeferredRegistry } from "../deferred-registry.ts";
import type { AllowAddress } from "../link-address.ts";
import type { Registry, RegistryGuarantees } from "../registry.ts";
import { readKeyFile } from "./key-file.ts";
import { Keyring, publicKey } from "./keyring.ts";
import { allowMemberAddress } from "./node-record.ts";
import { canonicalIp, defaultPort, parseSeed, type Seed } from "./seeds.ts";
import { type GossipSettings, gossipGuarantees } from "./settings.ts";
import { type GossipStats, newPacketCounters } from "./stats.ts";
import { type GossipProfile, gossipProfiles } from "./timing.ts";

/** Options for {@link gossipRegistry}. */
export interface GossipRegistryOptions {
  /**
   * Addresses of members, `host:port` with port 7946 by default, at least one of which should run
   * at any time. A DNS name stands for all of its addresses. Own addresses are skipped.
   */
  readonly seeds?: readonly string[];
  /**
   * The IP address and port to listen on, UDP and TCP. Default: `127.0.0.1:7946` if all seeds are
   * loopback addresses, otherwise `0.0.0.0:7946`, with IPv6 addresses among the seeds `[::1]:7946`
   * and `[::]:7946`, which receives IPv4 as well; if the port is in use, any free one.
   */
  readonly bind?: string;
  /** Where others reach this process, if not where it listens: `host` or `host:port`. */
  readonly advertise?: string;
  /**
   * The shared key of the cluster, 32 random bytes in base64 or hexadecimal. Of several, the first
   * seals and all open. Needed unless the registry listens on loopback alone.
   */
  readonly key?: string | readonly string[];
  /** A file with the keys, one a line. It is read again every second. */
  readonly keyFile?: string;
  /** Allows a cluster without a key, in which anyone who reaches a port can announce anything. */
  readonly insecure?: boolean;
  /** Default `lan`. All members must have the same. */
  readonly profile?: GossipProfile;
  /**
   * Time between two probes, in milliseconds; a probe waits for half of it. Default: the profile's,
   * 500 for `lan`.
   */
  readonly periodMs?: number;
  /** How long the first operation waits for a seed, in milliseconds. Default 3,000. */
  readonly joinTimeoutMs?: number;
  /**
   * Which addresses records of other members may contain. Default: all but those that only another
   * machine can reach.
   */
  readonly allowAddress?: AllowAddress;
  readonly logger?: Logger;
}

/** The registry returned by {@link gossipRegistry}. */
export interface GossipRegistry extends Registry {
  /** The counters so far. */
  readonly stats: GossipStats;
  /** Where others reach this member; undefined before the first operation. */
  readonly address: string | undefined;
}

/**
 * Discovers services by gossip: every process is a member of the cluster, and members tell each
 * other who is there, by UDP and TCP between their addresses. It needs no server and no multicast.
 * Packets are sealed with a shared key.
 *
 * Members probe each other, so a killed process disappears after some seconds, whatever its ttl.
 * The sockets are opened, and the protocol is loaded, on the first operation.
 *
 * @throws MicroError `invalid_argument` for options that cannot work, and without a key for a
 * registry that listens beyond loopback.
 *
 * @example
 * ```ts
 * import { createClient, gossipRegistry } from "@micro-es/runtime";
 *
 * const registry = gossipRegistry({ seeds: ["10.0.0.5"], keyFile: "/run/secrets/gossip" });
 * const client = createClient({ registry });
 * ```
 */
export function gossipRegistry(options: GossipRegistryOptions = {}): GossipRegistry {
  checkOptions("gossipRegistry", options, {
    seeds: texts,
    bind: text,
    advertise: text,
    key: { ...either(secret, texts), secret: true },
    keyFile: text,
    insecure: flag,
    profile: oneOf(...Object.keys(gossipProfiles)),
    periodMs: durationMs(50, 60_000),
    joinTimeoutMs: durationMs(0, 600_000),
    allowAddress: callback,
    logger,
  });
  return new UnopenedGossipRegistry(settings(options));
}

class UnopenedGossipRegistry extends DeferredRegistry<GossipRegistry> implements GossipRegistry {
  readonly name = "gossip";
  readonly guarantees: RegistryGuarantees = gossipGuarantees;
  readonly #settings: GossipSettings;

  constructor(settings: GossipSettings) {
    super(settings.logger);
    this.#settings = settings;
  }

  get address(): string | undefined {
    return this.loaded?.address;
  }

  get stats(): GossipStats {
    return this.loaded?.stats ?? unopened();
  }

  protected override async load(): Promise<GossipRegistry> {
    const { ClusterRegistry } = await import("./cluster-registry.ts");
    return new ClusterRegistry(this.#settings);
  }
}

function unopened(): GossipStats {
  return {
    ...newPacketCounters(),
    members: 0,
    health: 0,
    keys: [],
    refusedRecords: 0,
    overflow: 0,
    refuted: 0,
    declaredDead: 0,
  };
}

function settings(options: GossipRegistryOptions): GossipSettings {
  const seeds = (options.seeds ?? []).map((seed) => seedOf("seeds", seed));
  for (const { host } of seeds) {
    if (isWildcard(host)) {
      throw invalid(
        `a seed is the address of a member, not ${host}; bind says where this process listens`,
      );
    }
  }
  const bound = options.bind === undefined ? undefined : seedOf("bind", options.bind, 0);
  if (bound !== undefined && isIP(bound.host) === 0) {
    throw invalid(`bind must be an IP address, not ${bound.host}`);
  }
  const host = bound?.host ?? defaultHost(seeds);
  const { advertise, keyFile, logger } = options;
  if (advertise !== undefined && isWildcard(seedOf("advertise", advertise).host)) {
    throw invalid(`others cannot reach ${advertise}; advertise takes an address of this machine`);
  }
  const timing = gossipProfiles[options.profile ?? "lan"];
  const periodMs = options.periodMs ?? timing.periodMs;
  return {
    // On loopback the first process takes the default port, where the others find it.
    seeds: seeds.length === 0 && isLoopback(host) ? [{ host, port: defaultPort }] : seeds,
    host: canonicalIp(host),
    port: bound?.port ?? defaultPort,
    anyPort: bound === undefined,
    advertise,
    keys: keysOf(options, host),
    keyFile,
    timing:
      options.periodMs === undefined ? timing : { ...timing, periodMs, timeoutMs: periodMs / 2 },
    joinTimeoutMs: options.joinTimeoutMs ?? 3_000,
    allowAddress: options.allowAddress ?? allowMemberAddress,
    logger: new PartLogger(logger, silentLogger),
  };
}

function keysOf(options: GossipRegistryOptions, host: string): readonly string[] {
  const { key, keyFile, insecure = false } = options;
  if (key !== undefined && keyFile !== undefined) throw invalid("has key and keyFile; give one");
  const keys = keyFile !== undefined ? readKeyFile(keyFile) : typeof key === "string" ? [key] : key;
  if (keys !== undefined) {
    if (insecure) throw invalid("has a key and insecure; remove one");
    new Keyring(keys);
    return keys;
  }
  if (!insecure && !isLoopback(host)) {
    throw invalid(
      `would listen on ${host} without a key, so that anyone who reaches it could announce services: give all members the same key (openssl rand -base64 32) by key, keyFile or MICRO_GOSSIP_KEY, listen on 127.0.0.1, or set insecure`,
    );
  }
  return [publicKey];
}

function seedOf(option: string, value: string, leastPort?: number): Seed {
  const seed = parseSeed(value, leastPort);
  if (seed === undefined) {
    throw invalid(
      `${option} takes host:port, such as 10.0.0.5:7946, not ${JSON.stringify(value.slice(0, 128))}`,
    );
  }
  return seed;
}

/** IPv6 only where a seed has it, because machines can be without it. */
function defaultHost(seeds: readonly Seed[]): string {
  const isIpv6 = seeds.some(({ host }) => isIP(host) === 6);
  const areLocal = seeds.every(({ host }) => isLoopback(host));
  if (areLocal) return isIpv6 ? "::1" : "127.0.0.1";
  return isIpv6 ? "::" : "0.0.0.0";
}

function isWildcard(host: string): boolean {
  return isIP(host) !== 0 && /^[0:.]+$/.test(host);
}

function isLoopback(host: string): boolean {
  return isLocalAddress(host.includes(":") ? `[${host}]:1` : `${host}:1`);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", `gossipRegistry: ${message}`, {
    outcome: "not-executed",
  });
}
