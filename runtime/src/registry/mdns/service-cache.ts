import type { Deadline } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { AllowAddress } from "../link-address.ts";
import { maxNodesPerService } from "../registry.ts";
import { CachedService, type RemoteNode } from "./cached-service.ts";
import { toNode } from "./instance.ts";
import type { PacketSource } from "./link.ts";
import type { QueryEcho } from "./query-echo.ts";
import type { SeenInstance } from "./read-packet.ts";
import { SourceBudget } from "./source-budget.ts";
import type { MdnsCounters } from "./stats.ts";
import { decodeText, mostUnpackedBytes, type Text } from "./txt-record.ts";

/** Options for a {@link ServiceCache}. */
export interface ServiceCacheOptions {
  readonly domain: string;
  readonly maxServices: number;
  /** How long a go-micro node that does not reply is kept. */
  readonly peerTtlMs: number;
  readonly allowAddress: AllowAddress;
  readonly counters: MdnsCounters;
  readonly echo: QueryEcho;
  /** Sends a query and returns its number. */
  ask(name: string, type: "PTR" | "ANY"): number;
  /**
   * Another process has registered the id of a node of this process; returns true if it has taken
   * the id over.
   */
  takenOver(service: string, id: string, revision: number, seen: SeenInstance): boolean;
  /** Another process has sent a goodbye for a node of this process. */
  contradicted(service: string, id: string, revision: number): void;
  refused(name: string, source: PacketSource, reason: unknown): void;
}

/** A service that was not looked up within this time is dropped. */
const idleMs = 60_000;
const shortestTtlMs = 100;
/**
 * The validity of DNS records; a node that announces a longer ttl is queried by then. It limits
 * what a forged record can gain.
 */
const longestTtlMs = 120_000;
/** Limit on all unpacked records together. */
const maxTotalBytes = 64 * 1024 * 1024;
/**
 * Maximum number of nodes of a service announced by one other machine, so that there is room for
 * those of others.
 */
const maxNodesPerSource = maxNodesPerService / 4;
/**
 * Limits the bytes of records unpacked for one machine; 4 MiB take 100 ms of CPU time. The burst is
 * larger because a machine with many go-micro nodes sends more when it starts.
 */
const unpackBudget = { burst: 16 * 1024 * 1024, perSecond: 4 * 1024 * 1024 } as const;
const maxGoodbyes = 4_096;
const goodbyeMemoryMs = 2_000;
/** Time to reply to the last query. */
const lastChanceMs = 100;
const firstQueryGapMs = 1_000;
const longestQueryGapMs = 60_000;

/** The known nodes of other processes, for the services that this process uses. */
export class ServiceCache {
  readonly #options: ServiceCacheOptions;
  readonly #services = new Map<string, CachedService>();
  readonly #goodbyes = new Map<string, { revision: number; at: Deadline }>();
  readonly #unpacked = new SourceBudget(unpackBudget);
  #bytes = 0;

  constructor(options: ServiceCacheOptions) {
    this.#options = options;
  }

  /**
   * Returns the service, cached from now on.
   * @throws MicroError `resource_exhausted` when too many are in use.
   */
  use(name: string): CachedService {
    const now = performance.now();
    let service = this.#services.get(name);
    if (service === undefined) {
      if (this.#services.size >= this.#options.maxServices) this.#evict();
      service = new CachedService(name, now);
    }
    // Re-inserted so that the map stays in order of use.
    this.#services.delete(name);
    this.#services.set(name, service);
    service.usedAt = now;
    return service;
  }

  /** The names of the services that have a node. */
  names(): readonly string[] {
    return [...this.#services.values()]
      .filter(({ nodes }) => nodes.size > 0)
      .map(({ name }) => name);
  }

  /** Repeats the query for a service while it is watched, at growing intervals. */
  follow(service: CachedService): Deadline {
    if (service.queryAt === Number.POSITIVE_INFINITY) {
      service.queryGapMs = firstQueryGapMs;
      service.queryAt = performance.now() + firstQueryGapMs;
    }
    return service.queryAt;
  }

  /** Processes an instance found in a packet; returns when the cache next has to be swept. */
  hear(seen: SeenInstance, source: PacketSource): Deadline {
    let text: Text | undefined;
    for (const service of this.#candidates(seen.name)) {
      const known = service.foreign.get(seen.name);
      if (known !== undefined && seen.alive && isSame(known, seen)) return this.#refresh(known);
      try {
        if (text === undefined) {
          if (!this.#unpacked.has(source.host)) {
            this.#options.counters.overflow++;
            break;
          }
          text = decodeText(seen.text);
          this.#unpacked.spend(source.host, text.bytes);
        }
      } catch (reason) {
        this.#unpacked.spend(source.host, mostUnpackedBytes(seen.text));
        this.#options.counters.malformed++;
        this.#options.refused(seen.name, source, reason);
        break;
      }
      if (text.service !== service.name) continue;
      return seen.alive
        ? this.#take(service, known, seen, text, source)
        : this.#goodbye(service, known, seen, text, source);
    }
    return Number.POSITIVE_INFINITY;
  }

  /**
   * Queries the nodes that were not heard from, drops those that do not reply, and returns the next
   * deadline.
   */
  sweep(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const service of this.#services.values()) {
      if (!service.inUse && now - service.usedAt > idleMs) {
        this.#forget(service);
        continue;
      }
      if (!service.inUse) next = Math.min(next, service.usedAt + idleMs + 1);
      if (service.nodes.watchers === 0) service.queryAt = Number.POSITIVE_INFINITY;
      else if (service.queryAt <= now) this.#askAgain(service, now);
      next = Math.min(next, service.queryAt);
      for (const [name, foreign] of service.foreign) {
        if (foreign.dueAt <= now) this.#check(service, name, foreign, now);
        if (service.foreign.has(name)) next = Math.min(next, foreign.dueAt);
      }
    }
    for (const [name, { at }] of this.#goodbyes) {
      if (now - at > goodbyeMemoryMs) this.#goodbyes.delete(name);
    }
    return next;
  }

  /**
   * Excludes a time in which nothing could be received, because this process was stalled or the
   * network was down, from the nodes' lifetimes.
   */
  extendLeases(ms: number): void {
    for (const service of this.#services.values()) {
      for (const foreign of service.foreign.values()) {
        foreign.heardAt += ms;
        foreign.dueAt += ms;
      }
    }
  }

  /** Queries everything in use, for example after the network was lost. */
  askAll(): void {
    const now = performance.now();
    for (const service of this.#services.values()) {
      this.#options.ask(`${service.name}.${this.#options.domain}`, "PTR");
      if (service.nodes.watchers === 0) continue;
      service.queryGapMs = firstQueryGapMs;
      service.queryAt = now + firstQueryGapMs;
    }
  }

  end(): void {
    for (const service of this.#services.values()) service.nodes.end();
    this.#services.clear();
    this.#goodbyes.clear();
  }

  #candidates(instance: string): readonly CachedService[] {
    const suffix = `.${this.#options.domain}`;
    if (!instance.endsWith(suffix)) return [];
    const found: CachedService[] = [];
    const name = instance.slice(0, -suffix.length);
    for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
      const service = this.#services.get(name.slice(dot + 1));
      if (service !== undefined) found.push(service);
    }
    return found;
  }

  #take(
    service: CachedService,
    known: RemoteNode | undefined,
    seen: SeenInstance,
    text: Text,
    source: PacketSource,
  ): Deadline {
    const { allowAddress, counters, domain, peerTtlMs } = this.#options;
    const revision = text.marker?.revision ?? Number.NEGATIVE_INFINITY;
    // A registration does not change while it lives, so a different record under its revision is
    // forged.
    if (known?.marker !== undefined && revision <= known.marker.revision) return known.dueAt;
    if (revision <= (this.#goodbyes.get(seen.name)?.revision ?? Number.NEGATIVE_INFINITY)) {
      // A reply that was sent before the goodbye and arrived after it; go-micro's have no revision.
      if (text.marker !== undefined) return Number.POSITIVE_INFINITY;
    }
    const bytes = seen.text.length + text.bytes;
    const ofSource = service.perSource.get(source.host) ?? 0;
    const full =
      known === undefined &&
      (service.nodes.size >= maxNodesPerService ||
        (!source.local && ofSource >= maxNodesPerSource) ||
        this.#bytes + bytes > maxTotalBytes);
    if (full) {
      counters.overflow++;
      return Number.POSITIVE_INFINITY;
    }
    try {
      const node = toNode(seen, text, domain);
      if (!allowAddress(node.address, { host: source.host, local: source.local })) {
        throw new MicroError("invalid_argument", `address ${node.address} is not allowed`);
      }
      if (service.local.has(node.id)) {
        if (!this.#options.takenOver(service.name, node.id, revision, seen)) {
          return Number.POSITIVE_INFINITY;
        }
      }
      const ttlMs = text.marker?.ttlMs ?? peerTtlMs;
      const foreign: RemoteNode = {
        node,
        text: Buffer.from(seen.text),
        host: seen.host,
        port: seen.port,
        source: source.host,
        bytes,
        marker: text.marker,
        ttlMs: Math.min(Math.max(ttlMs, shortestTtlMs), longestTtlMs),
        heardAt: 0,
        checks: 0,
        dueAt: 0,
        lastQuery: undefined,
      };
      if (known !== undefined) {
        this.#remove(service, seen.name, known);
        if (known.node.id !== node.id) service.nodes.delete(known.node.id);
      }
      this.#bytes += bytes;
      service.perSource.set(source.host, (service.perSource.get(source.host) ?? 0) + 1);
      service.foreign.set(seen.name, foreign);
      service.nodes.put(node);
      if (known === undefined) service.onNew?.();
      return this.#refresh(foreign);
    } catch (reason) {
      counters.refused++;
      this.#options.refused(seen.name, source, reason);
      return Number.POSITIVE_INFINITY;
    }
  }

  #goodbye(
    service: CachedService,
    known: RemoteNode | undefined,
    seen: SeenInstance,
    text: Text,
    source: PacketSource,
  ): Deadline {
    const revision = text.marker?.revision;
    const id =
      text.marker?.id ?? seen.name.slice(0, -`.${service.name}.${this.#options.domain}`.length);
    if (service.local.has(id)) {
      if (revision !== undefined) {
        this.#options.contradicted(service.name, id, revision);
      }
      return performance.now();
    }
    if (known?.marker !== undefined) {
      // Leftovers of an exited process must not remove its successor.
      if (revision === undefined || revision < known.marker.revision) return known.dueAt;
    }
    if (known !== undefined && known.source !== source.host) {
      // The goodbye came from a machine other than the one that announced the node: the node itself
      // is queried, and removed if it does not reply.
      known.heardAt = Math.min(known.heardAt, performance.now() - known.ttlMs);
      known.dueAt = performance.now();
      return known.dueAt;
    }
    if (revision !== undefined) {
      if (this.#goodbyes.size >= maxGoodbyes) this.#goodbyes.clear();
      this.#goodbyes.set(seen.name, { revision, at: performance.now() });
    }
    if (known !== undefined) this.#drop(service, seen.name, known);
    return Number.POSITIVE_INFINITY;
  }

  #refresh(foreign: RemoteNode): Deadline {
    foreign.heardAt = performance.now();
    foreign.checks = 0;
    foreign.lastQuery = undefined;
    foreign.dueAt = foreign.heardAt + checkAfter(foreign);
    return foreign.dueAt;
  }

  #check(service: CachedService, name: string, foreign: RemoteNode, now: Deadline): void {
    const { ask, counters, domain } = this.#options;
    const endsAt = foreign.heardAt + foreign.ttlMs;
    if (now >= endsAt && foreign.lastQuery !== undefined) {
      if (this.#isSilent(foreign, now)) {
        counters.expired++;
        this.#drop(service, name, foreign);
      } else {
        foreign.dueAt = now + lastChanceMs / 2;
      }
      return;
    }
    foreign.checks++;
    const wide = foreign.marker === undefined && foreign.checks > 1;
    const query = wide ? ask(`${service.name}.${domain}`, "PTR") : ask(name, "ANY");
    if (now >= endsAt) {
      foreign.lastQuery = query;
      foreign.dueAt = now + lastChanceMs;
    } else {
      foreign.dueAt = Math.min(now + foreign.ttlMs / 4, endsAt);
    }
  }

  /**
   * Whether a node has failed to reply to its last query. If this process is so starved that it has
   * not even received its own query, the node's reply may be queued as well. On a system that does
   * not deliver a sender's own multicasts, silence counts after a second ttl.
   */
  #isSilent({ heardAt, ttlMs, lastQuery = 0 }: RemoteNode, now: Deadline): boolean {
    const { echo } = this.#options;
    if (echo.has(lastQuery)) return now >= echo.heardAt + lastChanceMs / 2;
    return now >= heardAt + 2 * ttlMs;
  }

  #drop(service: CachedService, name: string, foreign: RemoteNode): void {
    this.#remove(service, name, foreign);
    if (!service.local.has(foreign.node.id)) service.nodes.delete(foreign.node.id);
  }

  #remove(service: CachedService, name: string, { bytes, source }: RemoteNode): void {
    service.foreign.delete(name);
    this.#bytes -= bytes;
    const left = (service.perSource.get(source) ?? 1) - 1;
    if (left > 0) service.perSource.set(source, left);
    else service.perSource.delete(source);
  }

  #askAgain(service: CachedService, now: Deadline): void {
    service.queryGapMs = Math.min(service.queryGapMs * 3, longestQueryGapMs);
    service.queryAt = now + service.queryGapMs * (0.9 + Math.random() * 0.2);
    this.#options.ask(`${service.name}.${this.#options.domain}`, "PTR");
  }

  #evict(): void {
    for (const service of this.#services.values()) {
      if (service.inUse) continue;
      this.#forget(service);
      return;
    }
    throw new MicroError(
      "resource_exhausted",
      `multicast DNS follows ${this.#services.size} services already; raise maxServices or end watches`,
      { outcome: "not-executed" },
    );
  }

  #forget(service: CachedService): void {
    for (const [name, foreign] of service.foreign) this.#drop(service, name, foreign);
    this.#services.delete(service.name);
  }
}

/**
 * A node of this runtime is queried when it has missed a heartbeat; go-micro nodes have no
 * heartbeat and are queried earlier.
 */
function checkAfter({ marker, ttlMs }: RemoteNode): number {
  return marker === undefined ? ttlMs / 3 : (ttlMs * 2) / 3;
}

function isSame(known: RemoteNode, seen: SeenInstance): boolean {
  return known.port === seen.port && known.host === seen.host && known.text.equals(seen.text);
}
