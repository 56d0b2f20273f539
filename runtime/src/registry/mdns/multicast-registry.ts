import { throwIfAborted, untilAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { type Deadline, DeadlineSweep } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import { checkReadOptions, checkRegisterOptions } from "../option-kinds.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "../registry.ts";
import { validateNode, validateServiceName } from "../validate.ts";
import { Announcer } from "./announcer.ts";
import type { CachedService } from "./cached-service.ts";
import { settled } from "./collect-until-quiet.ts";
import { toInstance } from "./instance.ts";
import { MulticastLink, type PacketSource } from "./link.ts";
import type { LocalRecord } from "./local-record.ts";
import { encodeQuery } from "./packet.ts";
import { QueryEcho } from "./query-echo.ts";
import { decodePacket, type Incoming, type SeenInstance } from "./read-packet.ts";
import { ServiceCache } from "./service-cache.ts";
import { type MulticastSettings, mdnsGuarantees } from "./settings.ts";
import { type MdnsCounters, type MdnsStats, newCounters } from "./stats.ts";

/** A sweep later than this means that the process was stalled. */
const stallMs = 1_000;
const sweepGapMs = 20;
/** A query counts as answered after this long without another new reply. */
const quietMs = 30;
const listQuietMs = 100;

/** The implementation of an mDNS registry from its first operation on. */
export class MulticastRegistry extends Closable implements Registry {
  readonly name = "mdns";
  readonly guarantees: RegistryGuarantees = mdnsGuarantees;
  readonly #domain: string;
  readonly #timeoutMs: number;
  readonly #logger: Logger;
  readonly #counters: MdnsCounters = newCounters();
  readonly #echo = new QueryEcho();
  readonly #status = new BackendStatus();
  readonly #link: MulticastLink;
  readonly #cache: ServiceCache;
  readonly #announcer: Announcer;
  readonly #closed: AbortController = sharedAbortController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#onSweep(now), sweepGapMs);
  #dueAt: Deadline = Number.POSITIVE_INFINITY;
  #lostAt: Deadline | undefined;
  #lastRevision = 0;
  #onListed: ((service: string) => void) | undefined;
  #listing: Promise<readonly string[]> | undefined;

  constructor(settings: MulticastSettings) {
    super();
    const { domain, group, port, maxServices, peerTtlMs, allowAddress } = settings;
    this.#domain = domain;
    this.#timeoutMs = settings.timeoutMs;
    this.#logger = settings.logger;
    this.#link = new MulticastLink(
      { group, port, interface: settings.interface },
      {
        packet: (bytes, source) => this.#onPacket(bytes, source),
        echo: (bytes) => this.#echo.hear(bytes),
        offLink: () => this.#counters.offLink++,
        change: (up, reason) => this.#onLinkChange(up, reason),
      },
    );
    this.#announcer = new Announcer(this.#link, this.#domain, this.#counters);
    this.#cache = new ServiceCache({
      domain: this.#domain,
      maxServices,
      peerTtlMs,
      allowAddress,
      counters: this.#counters,
      echo: this.#echo,
      ask: (name, type) => this.#ask(name, type),
      takenOver: (service, id, revision, seen) => this.#takenOver(service, id, revision, seen),
      contradicted: (service, id, revision) => this.#contradicted(service, id, revision),
      refused: (record, { host }, reason) =>
        this.#logger.debug({ record, from: host, reason }, "mDNS record refused"),
    });
  }

  get state(): BackendState {
    return this.#status.state;
  }

  get stats(): MdnsStats {
    return { ...this.#counters };
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const lease = { ttlMs: checkRegisterOptions(node, options), revision: this.#nextRevision() };
    const what = `register ${valid.id}`;
    this.#checkOpen(what, options.signal);
    const fitted = await toInstance(valid, this.#domain, lease);
    if (fitted.dropped !== undefined) {
      const { id, service } = valid;
      this.#logger.warn(
        { service, id, dropped: fitted.dropped },
        "the record is too large for mDNS; others will not see all of it",
      );
    }
    await untilAborted(this.#link.open(), options.signal);
    this.#checkOpen(what, options.signal);
    const service = this.#cache.use(valid.service);
    service.local.add(valid.id);
    service.nodes.put(valid);
    const { onTakenOver } = options;
    const record = await this.#announcer.add(valid, fitted, { ...lease, onTakenOver });
    try {
      this.#checkOpen(what, options.signal);
    } catch (error) {
      await this.#deregister(record);
      throw error;
    }
    this.#wake(Math.min(record.announceAt, record.probeAt));
    return new MulticastRegistration(
      record,
      () => this.#link.up && this.#announcer.has(record),
      () => this.#deregister(record),
    );
  }

  async get(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    checkReadOptions(`get ${name}`, options);
    validateServiceName(name);
    this.#checkOpen(`get ${name}`, options.signal);
    const service = this.#cache.use(name);
    this.#wake(service.usedAt + 1);
    if (!service.warm || service.nodes.size === 0) {
      await untilAborted(this.#lookup(service), options.signal);
    }
    return service.nodes.list();
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    this.#checkOpen("list services", options.signal);
    this.#listing ??= this.#askForNames().finally(() => {
      this.#listing = undefined;
    });
    return untilAborted(this.#listing, options.signal);
  }

  watch(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${name}`, options);
    validateServiceName(name);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        const service = this.#cache.use(name);
        const onBegin = async (): Promise<void> => {
          if (!service.warm || service.nodes.size === 0) {
            // Without a network the watch starts empty and continues once there is one.
            await this.#lookup(service).catch(() => {});
          }
          this.#wake(this.#cache.follow(service));
        };
        return service.nodes.watch({ signals, onBegin })[Symbol.asyncIterator]();
      },
    };
  }

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
    this.#cache.end();
    await this.#announcer.removeAll();
    this.#sweep.close();
    await this.#link.close();
  }

  async #deregister(record: LocalRecord): Promise<void> {
    if (!this.#announcer.has(record)) return;
    const service = this.#cache.use(record.node.service);
    service.local.delete(record.node.id);
    service.nodes.delete(record.node.id);
    await this.#announcer.remove(record);
  }

  /**
   * Queries a service's nodes and waits until the replies are in; shared by all callers that wait
   * for it.
   */
  #lookup(service: CachedService): Promise<void> {
    service.lookup ??= this.#askFor(service).finally(() => {
      service.lookup = undefined;
      service.onNew = undefined;
    });
    return service.lookup;
  }

  async #askFor(service: CachedService): Promise<void> {
    await this.#link.open();
    await settled({
      ask: () => void this.#ask(`${service.name}.${this.#domain}`, "PTR"),
      onNews: (news) => {
        service.onNew = news;
      },
      quietMs,
      timeoutMs: this.#timeoutMs,
      signal: this.#closed.signal,
    });
    service.warm = true;
  }

  async #askForNames(): Promise<readonly string[]> {
    await this.#link.open();
    const heard = new Set<string>();
    await settled({
      ask: () => void this.#ask(`_services.${this.#domain}`, "PTR"),
      onNews: (news) => {
        this.#onListed = (service) => {
          if (heard.size >= maxListed || heard.has(service)) return;
          heard.add(service);
          news();
        };
      },
      quietMs: listQuietMs,
      timeoutMs: this.#timeoutMs,
      signal: this.#closed.signal,
    });
    this.#onListed = undefined;
    const known = [...this.#announcer.services(), ...this.#cache.names()];
    return [...new Set([...known, ...heard])].sort();
  }

  #ask(name: string, type: "PTR" | "ANY"): number {
    this.#counters.queries++;
    const query = this.#echo.next();
    void this.#link.multicast(encodeQuery(name, type, query & 0xffff));
    return query;
  }

  #onPacket(bytes: Buffer, source: PacketSource): void {
    this.#counters.packets++;
    let packet: Incoming;
    try {
      packet = decodePacket(bytes);
    } catch {
      this.#counters.malformed++;
      return;
    }
    if (packet.kind === "query") {
      this.#announcer.answer(packet, source);
      return;
    }
    for (const pointer of packet.pointers) this.#onPointer(pointer);
    for (const seen of packet.seen) this.#wake(this.#cache.hear(seen, source));
  }

  #onPointer(pointer: string): void {
    const suffix = `._services.${this.#domain}`;
    if (this.#onListed === undefined || !pointer.endsWith(suffix)) return;
    const service = pointer.slice(0, -suffix.length);
    try {
      this.#onListed(validateServiceName(service));
    } catch {
      this.#counters.refused++;
    }
  }

  /** A newer registration of the same id by another process replaces ours. */
  #takenOver(service: string, id: string, revision: number, seen: SeenInstance): boolean {
    const record = this.#announcer.find(service, id);
    if (record !== undefined) {
      if (revision < record.revision) return false;
      if (revision === record.revision) {
        // The same record may come from a reflector between two networks.
        if (!record.says(seen)) this.#contradicted(service, id, revision);
        return false;
      }
      this.#announcer.delete(record);
      this.#logger.error(
        { service, id },
        "another process has registered the id of this node; it is theirs now",
      );
      record.onTakenOver?.();
    }
    this.#cache.use(service).local.delete(id);
    return true;
  }

  /**
   * Another process contradicts a node of this one. Unless its revision is higher, the node is
   * announced again.
   */
  #contradicted(service: string, id: string, revision: number): void {
    const record = this.#announcer.find(service, id);
    if (record === undefined || revision < record.revision) return;
    this.#counters.contradicted++;
    if (record.contradictedBy === Number.NEGATIVE_INFINITY) {
      this.#logger.error(
        { service, id },
        "another process said goodbye for this node, or changed its record; it is announced again, at most once a second",
      );
    }
    this.#wake(this.#announcer.contradict(record, revision));
  }

  #onLinkChange(up: boolean, reason: MicroError | undefined): void {
    const now = performance.now();
    if (!up) {
      this.#lostAt = now;
      this.#logger.warn({ reason }, "mDNS has no network; the last known nodes stay");
      this.#status.set("lost", reason);
      return;
    }
    if (this.#lostAt === undefined) return;
    this.#cache.extendLeases(now - this.#lostAt);
    this.#lostAt = undefined;
    this.#logger.info({}, "mDNS has a network again");
    this.#announcer.announceAll(now);
    this.#cache.askAll();
    this.#wake(now);
    this.#status.set("healthy");
  }

  #onSweep(now: Deadline): Deadline {
    const late = now - this.#dueAt;
    if (late > stallMs) this.#cache.extendLeases(late);
    // Known nodes are kept while nothing can be received.
    const heard = this.#link.up ? this.#cache.sweep(now) : now + stallMs;
    this.#dueAt = Math.min(heard, this.#announcer.sweep(now));
    return this.#dueAt;
  }

  #wake(at: Deadline): void {
    if (this.#closed.signal.aborted) return;
    if (at < this.#dueAt) this.#dueAt = at;
    this.#sweep.watch(at);
  }

  #nextRevision(): number {
    this.#lastRevision = Math.max(this.#lastRevision + 1, Date.now());
    return this.#lastRevision;
  }

  #checkOpen(what: string, signal: AbortSignal | undefined): void {
    if (this.#closed.signal.aborted) {
      throw new MicroError("unavailable", `cannot ${what}: the registry is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }
}

/** Maximum number of names returned by `list`. */
const maxListed = 10_000;

class MulticastRegistration extends Closable implements Registration {
  readonly node: Node;
  readonly #isActive: () => boolean;
  readonly #end: () => Promise<void>;

  constructor(record: LocalRecord, isActive: () => boolean, end: () => Promise<void>) {
    super();
    this.node = record.node;
    this.#isActive = isActive;
    this.#end = end;
  }

  get active(): boolean {
    return this.#isActive();
  }

  protected override closeOnce(): Promise<void> {
    return this.#end();
  }
}
