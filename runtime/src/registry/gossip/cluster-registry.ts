import { throwIfAborted, untilAborted } from "../../base/abort.ts";
import { formatAddress, parseAddress } from "../../base/address.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import { checkReadOptions, checkRegisterOptions, type ReadOptions } from "../option-kinds.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "../registry.ts";
import { validateNode, validateServiceName } from "../validate.ts";
import { MemberHost } from "./member-host.ts";
import { isOwnAddress } from "./node-record.ts";
import { NodeView } from "./node-view.ts";
import { OwnRecords } from "./own-records.ts";
import { type GossipSettings, gossipGuarantees } from "./settings.ts";
import { type GossipStats, newPacketCounters } from "./stats.ts";
import type { RefusalKind } from "./stream-server.ts";

const refusals: Readonly<Record<RefusalKind, string>> = {
  malformed: "bytes that are not gossip",
  laterVersion:
    "packets of a later version of the protocol, which this one does not understand: all members need the same",
  foreignKey: "packets with a key that this member does not have",
  forged: "packets that are not sealed with the key that they name, or not for this member",
  replayed: "packets for the second time",
  connections: "more connections than are kept",
};

/** The implementation of a gossip registry from its first operation on. */
export class ClusterRegistry extends Closable implements Registry {
  readonly name = "gossip";
  readonly guarantees: RegistryGuarantees = gossipGuarantees;
  readonly #settings: GossipSettings;
  readonly #status = new BackendStatus();
  readonly #counters = newPacketCounters();
  readonly #refusedKinds = new Set<RefusalKind>();
  readonly #view: NodeView;
  readonly #own: OwnRecords;
  readonly #closed: AbortController = sharedAbortController();
  #refusedRecords = 0;
  #overflow = 0;
  #hasSeeds = false;
  /** Why the seeds could not be reached at the start. */
  #failures: readonly string[] = [];
  #opening: Promise<void> | undefined;
  #host: MemberHost | undefined;

  constructor(settings: GossipSettings) {
    super();
    this.#settings = settings;
    this.#view = new NodeView({
      accepts: ({ node }, owner) => this.#accepts(node.address, owner),
      onRefused: (record, owner, reason) => {
        this.#refusedRecords++;
        settings.logger.debug({ record, owner, reason }, "gossip record refused");
      },
      onOverflow: () => this.#overflow++,
    });
    this.#own = new OwnRecords(this.#view, settings.logger);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  get address(): string | undefined {
    if (this.#host === undefined) return undefined;
    return formatAddress({ kind: "host", ...endpointOf(this.#host) });
  }

  get stats(): GossipStats {
    const member = this.#host?.member;
    const counters = member?.membership.counters;
    return {
      ...this.#counters,
      members: member?.membership.size ?? 0,
      health: member?.health.score ?? 0,
      keys: this.#host?.keyIds ?? [],
      refusedRecords: this.#refusedRecords,
      overflow: this.#overflow + (counters?.overflow ?? 0),
      refuted: counters?.refuted ?? 0,
      declaredDead: counters?.declaredDead ?? 0,
    };
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    checkRegisterOptions(node, options);
    const valid = validateNode(node);
    const what = `register ${valid.id}`;
    if (parseAddress(valid.address).kind === "memory") {
      throw new MicroError(
        "invalid_argument",
        `cannot ${what}: other processes cannot reach ${valid.address}; use memoryRegistry for it`,
        { outcome: "not-executed" },
      );
    }
    const host = await this.#use(what, options.signal);
    const isFirst = this.#own.size === 0;
    const registration = this.#own.add(host.member, valid, options.onTakenOver);
    if (isFirst) await host.spread(options.signal);
    try {
      this.#checkOpen(what, options.signal);
    } catch (error) {
      await registration.close();
      throw error;
    }
    return registration;
  }

  async get(service: string, options: ReadOptions = {}): Promise<readonly Node[]> {
    checkReadOptions(`get ${service}`, options);
    validateServiceName(service);
    await this.#use(`get ${service}`, options.signal);
    return this.#view.get(service);
  }

  async list(options: ReadOptions = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    await this.#use("list services", options.signal);
    return this.#view.names();
  }

  watch(service: string, options: ReadOptions = {}): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const signals = [this.#closed.signal, options.signal];
    // Without a port the watch starts empty, and continues once there is one.
    const onBegin = () => this.#open().catch(() => {});
    return {
      [Symbol.asyncIterator]: () =>
        this.#view.watch(service, { signals, onBegin })[Symbol.asyncIterator](),
    };
  }

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
    this.#own.end();
    await this.#opening?.catch(() => {});
    await this.#host?.close();
  }

  async #use(what: string, signal: AbortSignal | undefined): Promise<MemberHost> {
    this.#checkOpen(what, signal);
    await untilAborted(this.#open(), signal);
    this.#checkOpen(what, signal);
    if (this.#host === undefined) throw new Error("gossip did not open");
    return this.#host;
  }

  /** Opens the sockets and joins the cluster, once; a failure is tried again by the next use. */
  #open(): Promise<void> {
    this.#opening ??= this.#join().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #join(): Promise<void> {
    const { logger } = this.#settings;
    const host = await MemberHost.open(this.#settings, this.#counters, {
      recordsChanged: (keys) => this.#onRecords(keys),
      memberChanged: () => this.#onMembers(),
      isolationChanged: () => this.#onMembers(),
      refused: (kind, address) => this.#onRefused(kind, address),
    });
    this.#host = host;
    if (this.#closed.signal.aborted) return;
    const result = await host.join();
    if (this.#closed.signal.aborted) return;
    this.#hasSeeds = result.joined !== undefined;
    const fields = { address: this.address, members: host.member.membership.size };
    if (result.joined === false) {
      this.#failures = result.failures;
      logger.warn(
        { ...fields, seeds: result.failures },
        "gossip reached no seed; this member is alone and keeps trying",
      );
    } else logger.info(fields, "gossip joined the cluster");
    this.#onMembers();
  }

  #onRecords(keys: ReadonlySet<string>): void {
    const host = this.#host;
    if (host === undefined) return;
    for (const key of keys) {
      const best = this.#view.refresh(host.member.records, key);
      if (best !== undefined && best.owner !== host.member.id) this.#own.yieldTo(best);
    }
  }

  /** A member that hears none of the others that should be there is degraded. */
  #onMembers(): void {
    if (this.#host === undefined || this.#closed.signal.aborted) return;
    const { live, isHolding } = this.#host.member.membership;
    if (!isHolding && (live.size > 0 || !this.#hasSeeds)) {
      this.#failures = [];
      this.#status.set("healthy");
      return;
    }
    const why = this.#failures.slice(0, 5).map((failure) => `; ${failure}`);
    const found = isHolding
      ? `hears none of the ${live.size} other members; their nodes stay until it does`
      : `reaches no other member and no seed${why.join("")}`;
    this.#status.set("degraded", new MicroError("unavailable", `gossip ${found}`));
  }

  #accepts(address: string, owner: string): boolean {
    const member = this.#host?.member.membership.get(owner);
    if (member === undefined) return false;
    if (owner === this.#host?.member.id) return true;
    const { host } = member;
    return this.#settings.allowAddress(address, { host, local: isOwnAddress(host) });
  }

  /** Logged once for each kind: strangers may send as many as they like. */
  #onRefused(kind: RefusalKind, address: string): void {
    if (this.#refusedKinds.has(kind)) return;
    this.#refusedKinds.add(kind);
    this.#settings.logger.warn(
      { from: address },
      `gossip received ${refusals[kind]}; further ones are counted and not logged`,
    );
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

function endpointOf(host: MemberHost): { readonly host: string; readonly port: number } {
  const { host: address, port } = host.endpoint;
  return { host: address, port };
}
