import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Deadline,
  type Logger,
  type Node,
  type Registry,
  type RegistryEvent,
  silentLogger,
} from "@micro-es/runtime";
import {
  checkOptions,
  checkReadOptions,
  checkRegisterOptions,
  DeadlineSweep,
  defaultTtlMs,
  durationMs,
  logger,
  PartLogger,
  type RegisterOptions,
  type Registration,
  type RegistryGuarantees,
  sharedAbortController,
  text,
  untilAborted,
  validateNode,
  validateServiceName,
  validateTtl,
} from "@micro-es/runtime/driver";
import { createInbox, type Msg, type NatsConnection, type Subscription } from "nats";
import { NatsDriver, type NatsDriverOptions } from "../../link/driver.ts";
import { natsFailure } from "../../link/failure.ts";
import { natsDriverKinds } from "../../link/option-kinds.ts";
import { CachedService } from "./cached-service.ts";
import {
  decodeResponse,
  decodeResult,
  encodeResult,
  encodeService,
  type HeardNode,
  queryFor,
} from "./service-json.ts";

/** Options of {@link goMicroNatsRegistry}. */
export type GoMicroNatsRegistryOptions = NatsDriverOptions & {
  /** Subject of queries. Default `micro.nats.query`, as in go-micro. */
  readonly queryTopic?: string;
  /** Subject of changes. Default `micro.nats.watch`, as in go-micro. */
  readonly watchTopic?: string;
  /** How long to wait for replies to a query, in milliseconds. Default 100, as in go-micro. */
  readonly replyWaitMs?: number;
  /** How long to keep a go-micro node that does not reply, in milliseconds. Default 15,000. */
  readonly peerTtlMs?: number;
  readonly logger?: Logger;
};

/**
 * Change messages may be lost, so services that are watched or requested are queried again at this
 * interval.
 */
const askAgainMs = 5_000;
const lingerMs = 60_000;
const stallMs = 1_000;

/**
 * go-micro's own registry on NATS, for a fleet that includes Go services. Nothing is stored: every
 * process replies for its own nodes and announces their changes. It does not need JetStream; for a
 * fleet without Go, {@link natsRegistry} offers more.
 */
export function goMicroNatsRegistry(options: GoMicroNatsRegistryOptions = {}): Registry {
  checkOptions("goMicroNatsRegistry", options, {
    ...natsDriverKinds,
    queryTopic: text,
    watchTopic: text,
    replyWaitMs: durationMs(0),
    peerTtlMs: durationMs(1),
    logger,
  });
  return new QueryRegistry(options);
}

interface Own extends HeardNode, Registration {
  readonly onTakenOver: (() => void) | undefined;
  readonly ttlMs: number;
  renewAt: Deadline;
  active: boolean;
}

class QueryRegistry extends NatsDriver implements Registry {
  readonly name = "go-micro-nats";
  readonly guarantees: RegistryGuarantees = {
    registers: true,
    reach: "backend",
    consistency: "eventual",
    liveness: "lease",
  };
  readonly #queryTopic: string;
  readonly #watchTopic: string;
  readonly #replyWaitMs: number;
  readonly #peerTtlMs: number;
  readonly #logger: PartLogger;
  readonly #own = new Map<string, Own>();
  readonly #services = new Map<string, CachedService>();
  readonly #closed: AbortController = sharedAbortController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#onSweep(now), 20);
  #dueAt: Deadline = Number.POSITIVE_INFINITY;
  #opening: Promise<NatsConnection> | undefined;
  #subscriptions: Subscription[] = [];
  #forgetReconnect: (() => void) | undefined;

  constructor(options: GoMicroNatsRegistryOptions) {
    super(options, "registry");
    this.#queryTopic = options.queryTopic ?? "micro.nats.query";
    this.#watchTopic = options.watchTopic ?? "micro.nats.watch";
    this.#replyWaitMs = options.replyWaitMs ?? 100;
    this.#peerTtlMs = validateTtl(options.peerTtlMs ?? defaultTtlMs);
    this.#logger = new PartLogger(options.logger, silentLogger);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const ttlMs = checkRegisterOptions(node, options);
    const what = `register ${valid.id}`;
    this.check(what, options.signal);
    await untilAborted(this.#open(), options.signal);
    const connection = await this.link.live(what);
    this.check(what, options.signal);
    const before = this.#own.get(valid.id);
    if (before !== undefined) before.active = false;
    const close = async () => this.#deregister(own);
    const own: Own = {
      node: valid,
      ttlMs,
      owner: randomUUID(),
      onTakenOver: options.onTakenOver,
      renewAt: 0,
      active: true,
      close,
      [Symbol.asyncDispose]: close,
    };
    this.#own.set(valid.id, own);
    this.#tell(own, "create");
    try {
      await untilAborted(connection.flush(), options.signal);
      this.check(what, options.signal);
      return own;
    } catch (error) {
      await own.close();
      throw natsFailure(error, what);
    }
  }

  async get(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    checkReadOptions(`get ${service}`, options);
    validateServiceName(service);
    this.check(`get ${service}`, options.signal);
    const heard = this.#follow(service);
    if (heard.nodes.size === 0 || performance.now() - heard.askedAt > 2 * askAgainMs) {
      await untilAborted(this.#ask(service, heard), options.signal);
    }
    return heard.nodes.list();
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    this.check("list services", options.signal);
    const names = new Set<string>();
    const asked = this.#query(encodeResult("list", null), ({ node }) => names.add(node.service));
    await untilAborted(asked, options.signal);
    return [...names].sort();
  }

  watch(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        if (signals.some((signal) => signal?.aborted === true)) {
          return { next: async () => ({ done: true, value: undefined }) };
        }
        const heard = this.#follow(service);
        const onBegin = () => this.#untilAsked(service, heard);
        return heard.nodes.watch({ signals, onBegin })[Symbol.asyncIterator]();
      },
    };
  }

  protected override async end(): Promise<void> {
    this.#closed.abort();
    this.#sweep.close();
    for (const own of this.#own.values()) await own.close();
    this.#forgetReconnect?.();
    const connection = await this.#opening?.catch(() => undefined);
    if (connection !== undefined && this.link.connected) await connection.flush().catch(() => {});
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    for (const heard of this.#services.values()) heard.nodes.end();
    this.#services.clear();
  }

  /** Connects, and starts to reply and to listen. */
  #open(): Promise<NatsConnection> {
    this.#opening ??= this.#begin().catch((error) => {
      this.#opening = undefined;
      throw natsFailure(error, "open the registry");
    });
    return this.#opening;
  }

  async #begin(): Promise<NatsConnection> {
    const connection = await untilAborted(this.link.open(), this.#closed.signal);
    const listen = (subject: string, take: (message: Msg) => void) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) return;
          try {
            take(message);
          } catch (reason) {
            this.#logger.debug({ subject, reason }, "a registry message was refused");
          }
        },
      });
    this.#subscriptions = [
      listen(this.#queryTopic, (message) => this.#reply(message)),
      listen(this.#watchTopic, (message) => this.#heard(message)),
    ];
    this.#forgetReconnect = this.link.onReconnect(() => {
      for (const own of this.#own.values()) this.#tell(own, "create");
      for (const [service, heard] of this.#services) {
        void this.#ask(service, heard).catch(() => {});
      }
    });
    await connection.flush();
    return connection;
  }

  #reply(message: Msg): void {
    const { action, service } = decodeResult(message.data);
    for (const own of this.#own.values()) {
      if (!own.active || (action !== "list" && own.node.service !== service)) continue;
      message.respond(Buffer.from(JSON.stringify(encodeService(own))));
    }
  }

  #heard(message: Msg): void {
    const { action, nodes } = decodeResult(message.data);
    for (const heard of nodes) {
      const own = this.#own.get(heard.node.id);
      if (action !== "delete" && own?.active === true && own.owner !== heard.owner) {
        own.active = false;
        this.#logger.warn({ node: own.node.id }, "another process has registered this node's id");
        own.onTakenOver?.();
      }
      const service = this.#services.get(heard.node.service);
      if (action === "delete") service?.delete(heard);
      else this.#put(service, heard);
    }
  }

  #put(service: CachedService | undefined, heard: HeardNode): void {
    if (service === undefined) return;
    service.put(heard);
    this.#wake(performance.now() + (heard.ttlMs ?? this.#peerTtlMs));
  }

  /** Announces one of our own nodes, and schedules the next announcement before its ttl ends. */
  #tell(own: Own, action: "create" | "delete"): void {
    if (!own.active && action === "create") return;
    own.renewAt = performance.now() + own.ttlMs / 3;
    if (action === "create") this.#wake(own.renewAt);
    if (!this.link.connected) return;
    void this.link
      .open()
      .then((connection) =>
        connection.publish(this.#watchTopic, encodeResult(action, encodeService(own))),
      )
      .catch(() => {});
  }

  async #deregister(own: Own): Promise<void> {
    const wasActive = own.active;
    own.active = false;
    if (this.#own.get(own.node.id) === own) this.#own.delete(own.node.id);
    if (wasActive) this.#tell(own, "delete");
    // Results from this registry itself must not wait for its own message to come back.
    if (wasActive) this.#services.get(own.node.service)?.delete(own);
  }

  #follow(service: string): CachedService {
    let heard = this.#services.get(service);
    if (heard === undefined) {
      heard = new CachedService(this.#peerTtlMs);
      this.#services.set(service, heard);
    }
    heard.usedAt = performance.now();
    this.#wake(heard.usedAt + askAgainMs);
    return heard;
  }

  async #untilAsked(service: string, heard: CachedService): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        return await untilAborted(this.#ask(service, heard), signal);
      } catch {
        await sleep(250, undefined, { ref: false, signal }).catch(() => {});
      }
    }
  }

  async #ask(service: string, heard: CachedService): Promise<void> {
    heard.askedAt = performance.now();
    await this.#query(queryFor(service), (node) => {
      if (node.node.service === service) this.#put(heard, node);
    });
  }

  /** Sends a query, and takes the replies that arrive in time. */
  async #query(query: Uint8Array, take: (heard: HeardNode) => void): Promise<void> {
    await this.#open();
    const connection = await this.link.live("ask for services");
    const inbox = createInbox();
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null || message.data.length === 0) return;
        try {
          for (const heard of decodeResponse(message.data)) take(heard);
        } catch (reason) {
          this.#logger.debug({ reason }, "a registry reply was refused");
        }
      },
    });
    connection.publish(this.#queryTopic, query, { reply: inbox });
    await sleep(this.#replyWaitMs);
    subscription.unsubscribe();
  }

  #wake(at: Deadline): void {
    if (this.#closed.signal.aborted) return;
    this.#dueAt = Math.min(this.#dueAt, at);
    this.#sweep.watch(at);
  }

  #onSweep(now: Deadline): Deadline {
    const deaf = !this.link.connected || now - this.#dueAt > stallMs;
    let next = Number.POSITIVE_INFINITY;
    for (const own of this.#own.values()) {
      if (!own.active) continue;
      if (own.renewAt <= now) this.#tell(own, "create");
      next = Math.min(next, own.renewAt);
    }
    for (const [service, heard] of this.#services) {
      if (heard.nodes.watchers === 0 && now - heard.usedAt > lingerMs) {
        heard.nodes.end();
        this.#services.delete(service);
        continue;
      }
      if (now - heard.askedAt >= askAgainMs) void this.#ask(service, heard).catch(() => {});
      next = Math.min(next, heard.expire(now, deaf), heard.askedAt + askAgainMs);
    }
    this.#dueAt = next;
    return next;
  }
}
