import type { Deadline } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import type { AllowAddress } from "../link-address.ts";
import { maxNodesPerService } from "../registry.ts";
import type { QueryEcho } from "./echo.ts";
import { toNode } from "./instance.ts";
import { type ForeignNode, KnownService } from "./known-service.ts";
import type { PacketSource } from "./link.ts";
import type { SeenInstance } from "./packet.ts";
import type { MdnsCounters } from "./stats.ts";
import { decodeText, type Text } from "./text.ts";

/** What a {@link ServiceCache} is made of. */
export interface ServiceCacheOptions {
  readonly domain: string;
  readonly maxServices: number;
  /** How long a node of go-micro that does not answer is kept. */
  readonly peerTtlMs: number;
  readonly allowAddress: AllowAddress;
  readonly counters: MdnsCounters;
  readonly echo: QueryEcho;
  /** Sends a query and returns its number. */
  ask(name: string, type: "PTR" | "ANY"): number;
  /** Another process has registered a node of this one anew; true when it has taken it over. */
  takenOver(service: string, id: string, revision: number): boolean;
  refused(name: string, source: PacketSource, reason: unknown): void;
}

/** A service that nobody asked for in this time is forgotten. */
const idleMs = 60_000;
const shortestTtlMs = 100;
const longestTtlMs = 60 * 60 * 1_000;
/** All records together, as they were unpacked. */
const maxTotalBytes = 64 * 1024 * 1024;
const maxGoodbyes = 4_096;
const goodbyeMemoryMs = 2_000;
/** Time to answer the last question. */
const lastChanceMs = 100;
const firstQueryGapMs = 1_000;
const longestQueryGapMs = 60_000;

/** What is known of other processes' nodes, for the services that matter here. */
export class ServiceCache {
  readonly #options: ServiceCacheOptions;
  readonly #services = new Map<string, KnownService>();
  readonly #goodbyes = new Map<string, { revision: number; at: Deadline }>();
  #bytes = 0;

  constructor(options: ServiceCacheOptions) {
    this.#options = options;
  }

  /**
   * The service, remembered from now on.
   * @throws MicroError `resource_exhausted` when too many are in use.
   */
  use(name: string): KnownService {
    const now = performance.now();
    let service = this.#services.get(name);
    if (service === undefined) {
      if (this.#services.size >= this.#options.maxServices) this.#evict();
      service = new KnownService(name, now);
    }
    // Set anew so that the map is in the order of use.
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

  /** Asks again for a service while it is watched, less and less often. */
  follow(service: KnownService): Deadline {
    if (service.queryAt === Number.POSITIVE_INFINITY) {
      service.queryGapMs = firstQueryGapMs;
      service.queryAt = performance.now() + firstQueryGapMs;
    }
    return service.queryAt;
  }

  /** Takes in what a packet shows; returns when the cache next has to be swept. */
  hear(seen: SeenInstance, source: PacketSource): Deadline {
    let text: Text | undefined;
    for (const service of this.#candidates(seen.name)) {
      const known = service.foreign.get(seen.name);
      if (known !== undefined && seen.alive && isSame(known, seen)) return this.#refresh(known);
      try {
        text ??= decodeText(seen.text);
      } catch (reason) {
        this.#options.counters.malformed++;
        this.#options.refused(seen.name, source, reason);
        break;
      }
      if (text.service !== service.name) continue;
      return seen.alive
        ? this.#take(service, known, seen, text, source)
        : this.#goodbye(service, known, seen, text);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Asks for the nodes that were not heard of, drops those that do not answer, returns the next deadline. */
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
   * Does not count a time in which nothing could be heard, because this process stood still or the network
   * was gone, against the nodes.
   */
  forgive(ms: number): void {
    for (const service of this.#services.values()) {
      for (const foreign of service.foreign.values()) {
        foreign.heardAt += ms;
        foreign.dueAt += ms;
      }
    }
  }

  /** Asks for everything that is in use, as after a loss of the network. */
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

  #candidates(instance: string): readonly KnownService[] {
    const suffix = `.${this.#options.domain}`;
    if (!instance.endsWith(suffix)) return [];
    const found: KnownService[] = [];
    const name = instance.slice(0, -suffix.length);
    for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
      const service = this.#services.get(name.slice(dot + 1));
      if (service !== undefined) found.push(service);
    }
    return found;
  }

  #take(
    service: KnownService,
    known: ForeignNode | undefined,
    seen: SeenInstance,
    text: Text,
    source: PacketSource,
  ): Deadline {
    const { allowAddress, counters, domain, peerTtlMs } = this.#options;
    const revision = text.marker?.revision ?? Number.NEGATIVE_INFINITY;
    if (known?.marker !== undefined && revision < known.marker.revision) return known.dueAt;
    if (revision <= (this.#goodbyes.get(seen.name)?.revision ?? Number.NEGATIVE_INFINITY)) {
      // An answer that was sent before the goodbye and arrived after it; go-micro's have no revision.
      if (text.marker !== undefined) return Number.POSITIVE_INFINITY;
    }
    const size = seen.text.length;
    const full =
      known === undefined &&
      (service.nodes.size >= maxNodesPerService || this.#bytes + size > maxTotalBytes);
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
        if (!this.#options.takenOver(service.name, node.id, revision)) {
          return Number.POSITIVE_INFINITY;
        }
      }
      const ttlMs = text.marker?.ttlMs ?? peerTtlMs;
      const foreign: ForeignNode = {
        node,
        text: Buffer.from(seen.text),
        host: seen.host,
        port: seen.port,
        marker: text.marker,
        ttlMs: Math.min(Math.max(ttlMs, shortestTtlMs), longestTtlMs),
        heardAt: 0,
        checks: 0,
        dueAt: 0,
        lastQuery: undefined,
      };
      this.#bytes += size - (known?.text.length ?? 0);
      if (known !== undefined && known.node.id !== node.id) service.nodes.delete(known.node.id);
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
    service: KnownService,
    known: ForeignNode | undefined,
    seen: SeenInstance,
    text: Text,
  ): Deadline {
    const revision = text.marker?.revision;
    if (known?.marker !== undefined) {
      // What a dead process left behind must not remove its successor.
      if (revision === undefined || revision < known.marker.revision) return known.dueAt;
    }
    if (revision !== undefined) {
      if (this.#goodbyes.size >= maxGoodbyes) this.#goodbyes.clear();
      this.#goodbyes.set(seen.name, { revision, at: performance.now() });
    }
    if (known !== undefined) this.#drop(service, seen.name, known);
    return Number.POSITIVE_INFINITY;
  }

  #refresh(foreign: ForeignNode): Deadline {
    foreign.heardAt = performance.now();
    foreign.checks = 0;
    foreign.lastQuery = undefined;
    foreign.dueAt = foreign.heardAt + checkAfter(foreign);
    return foreign.dueAt;
  }

  #check(service: KnownService, name: string, foreign: ForeignNode, now: Deadline): void {
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
   * Whether a node has not answered its last question. Where this process is so starved that it has not
   * even heard its own question, the node's answer may be waiting too. On a system that does not give a
   * sender its own multicasts, silence counts after a second ttl.
   */
  #isSilent({ heardAt, ttlMs, lastQuery = 0 }: ForeignNode, now: Deadline): boolean {
    const { echo } = this.#options;
    if (echo.has(lastQuery)) return now >= echo.heardAt + lastChanceMs / 2;
    return now >= heardAt + 2 * ttlMs;
  }

  #drop(service: KnownService, name: string, foreign: ForeignNode): void {
    service.foreign.delete(name);
    this.#bytes -= foreign.text.length;
    if (!service.local.has(foreign.node.id)) service.nodes.delete(foreign.node.id);
  }

  #askAgain(service: KnownService, now: Deadline): void {
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

  #forget(service: KnownService): void {
    for (const [name, foreign] of service.foreign) this.#drop(service, name, foreign);
    this.#services.delete(service.name);
  }
}

/** A node of ours is asked for when it has missed a heartbeat; go-micro's have none and are asked earlier. */
function checkAfter({ marker, ttlMs }: ForeignNode): number {
  return marker === undefined ? ttlMs / 3 : (ttlMs * 2) / 3;
}

function isSame(known: ForeignNode, seen: SeenInstance): boolean {
  return known.port === seen.port && known.host === seen.host && known.text.equals(seen.text);
}
