import { randomUUID } from "node:crypto";
import { untilAborted } from "../base/abort.ts";
import { advertisedAddress } from "../base/advertised-address.ts";
import { Closable } from "../base/closable.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { checkOptions } from "../base/option-check.ts";
import { partName } from "../base/settle-all.ts";
import type { Subscription } from "../broker/broker.ts";
import { closeForCaller } from "../broker/close-for-caller.ts";
import type { Topic } from "../broker/topic.ts";
import type { Awaitable, CallContext } from "../call/call.ts";
import type { AnyMethod, Method, MethodKind } from "../call/method.ts";
import { builtWithMetadata } from "../call/schema-digests.ts";
import type { AnyCodec } from "../codec/codec.ts";
import type { Node } from "../registry/registry.ts";
import type { Dispatcher, Listener } from "../transport/transport.ts";
import { ClosingParts, partingMs } from "./closing-parts.ts";
import { ConnectionLog } from "./connection-log.ts";
import { HandlerDispatcher } from "./dispatcher.ts";
import { GracePeriod } from "./grace-period.ts";
import { clientStreamHandler, type Handler, serverStreamHandler } from "./handlers.ts";
import { type ServerInterception, serverInterceptors } from "./interceptors.ts";
import { nodesOf, type ServerRecord } from "./node-records.ts";
import { serverPartKinds, subscriberKinds } from "./option-kinds.ts";
import { Readiness } from "./readiness.ts";
import type {
  EventContext,
  Server,
  ServerState,
  ServerStats,
  SubscriberOptions,
} from "./server.ts";
import { ServerAccess } from "./server-access.ts";
import type { ServerListen, ServerParts } from "./server-parts.ts";
import { ServerRegistration } from "./server-registration.ts";
import { createSubscriber, noBroker, type Subscriber } from "./subscribers.ts";

export type { ServerListen, ServerParts } from "./server-parts.ts";

/** Creates a server from its parts. It opens nothing before `start`. */
export function buildServer(parts: ServerParts): Server {
  checkOptions("buildServer", parts, serverPartKinds);
  return new RpcServer(parts);
}

class RpcServer extends Closable<[graceMs?: number]> implements Server {
  readonly #parts: ServerParts;
  /** Unique for each start. */
  readonly #id: string;
  readonly #logger: Logger;
  readonly #interceptors: readonly ServerInterception[];
  readonly #dispatcher: HandlerDispatcher;
  /** The dispatcher to which transports pass their calls. */
  readonly #entrance: Dispatcher;
  readonly #access: ServerAccess;
  readonly #subscribers: Subscriber[] = [];
  readonly #connections: ConnectionLog;
  readonly #grace = new GracePeriod();
  readonly #drainBegun = new AbortController();
  /** Aborts when the server is closed, which ends a start that waits for a registry or a broker. */
  readonly #closeBegun = new AbortController();
  readonly #closing: ClosingParts;
  readonly #readiness: Readiness;
  #listeners: Listener[] = [];
  #subscriptions: Subscription[] = [];
  #registration: ServerRegistration | undefined;
  #state: ServerState = "created";
  #starting: Promise<void> | undefined;
  #draining: Promise<void> | undefined;

  constructor(parts: ServerParts) {
    super();
    this.#parts = parts;
    this.#id = parts.id ?? randomUUID();
    this.#logger = parts.logger ?? silentLogger;
    this.#closing = new ClosingParts(parts.name, this.#logger);
    this.#connections = new ConnectionLog(this.#logger);
    this.#interceptors = serverInterceptors(parts.interceptors);
    this.#access = new ServerAccess(parts, this.#logger);
    this.#dispatcher = new HandlerDispatcher({
      name: parts.name,
      interceptors: this.#interceptors,
      maxConcurrentCalls: parts.maxConcurrentCalls ?? 1_024,
      maxConcurrentStreams: parts.maxConcurrentStreams ?? 16_384,
      abandonAfterMs: parts.abandonAfterMs ?? 30_000,
      propagate: parts.propagate ?? [],
      logger: this.#logger,
    });
    this.#readiness = new Readiness(this.#logger);
    this.#entrance = parts.observe?.(this.#dispatcher) ?? this.#dispatcher;
  }

  get state(): ServerState {
    return this.#state;
  }

  get draining(): AbortSignal {
    return this.#drainBegun.signal;
  }

  get addresses(): readonly string[] {
    return this.#listeners.map((listener) => listener.address);
  }

  get methods(): readonly AnyMethod[] {
    return this.#dispatcher.methods;
  }

  get events(): readonly AnyCodec[] {
    return this.#subscribers.map(({ codec }) => codec);
  }

  get stats(): ServerStats {
    return this.#dispatcher.stats;
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (request: I, context: CallContext) => Awaitable<OInit>,
  ): void {
    this.#add(method, "unary", {
      unary: (call, request) => handler(request as I, call),
    });
  }

  serverStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (request: I, context: CallContext) => AsyncIterable<OInit>,
  ): void {
    this.#add(
      method,
      "server_streaming",
      serverStreamHandler(method, (request, context) => handler(request as I, context)),
    );
  }

  clientStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (requests: AsyncIterable<I>, context: CallContext) => Awaitable<OInit>,
  ): void {
    this.#add(
      method,
      "client_streaming",
      clientStreamHandler((requests, context) => handler(requests as AsyncIterable<I>, context)),
    );
  }

  bidi<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (requests: AsyncIterable<I>, context: CallContext) => AsyncIterable<OInit>,
  ): void {
    this.#add(method, "bidi_streaming", {
      stream: (call, requests) => handler(requests as AsyncIterable<I>, call),
    });
  }

  subscribe<M, I>(
    topic: Topic<M, I>,
    handler: (message: M, context: EventContext) => Awaitable<void>,
    options: SubscriberOptions = {},
  ): void {
    this.#checkNotStarted(`subscribe to ${topic.name}`);
    checkOptions(`subscribe to ${topic.name}`, options, subscriberKinds);
    if (this.#parts.broker === undefined) throw noBroker(this.#parts.name, topic.name);
    const propagate = this.#parts.propagate ?? [];
    this.#subscribers.push(
      createSubscriber(topic, handler, options, propagate, this.#interceptors),
    );
  }

  addReadinessCheck(name: string, isReady: () => boolean): void {
    this.#readiness.add(name, isReady);
  }

  start(): Promise<void> {
    if (this.#draining !== undefined || this.isClosing) return this.#refuseStart();
    this.#starting ??= this.#start().finally(() => {
      if (this.#state === "created") this.#starting = undefined;
    });
    return this.#starting;
  }

  drain(): Promise<void> {
    return this.#forCaller(this.#drainOnce());
  }

  override close(graceMs = 0): Promise<void> {
    this.#grace.shorten(graceMs);
    return this.#forCaller(super.close());
  }

  #drainOnce(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  /** An event handler that closes its server does not wait for itself. */
  #forCaller(closing: Promise<void>): Promise<void> {
    return closeForCaller(closing, this.#subscriptions, this.#logger, this.#grace);
  }

  #add(method: AnyMethod, kind: MethodKind, handler: Handler): void {
    this.#checkNotStarted(`take a handler for ${method.name}`);
    if (method.kind !== kind) {
      throw new MicroError(
        "invalid_argument",
        `${method.name} is ${method.kind}, and its handler was registered as ${kind}`,
        { outcome: "not-executed" },
      );
    }
    this.#dispatcher.add(method, handler);
  }

  #checkNotStarted(what: string): void {
    if (this.#state === "created" && this.#starting === undefined) return;
    throw new MicroError(
      "failed_precondition",
      `server ${this.#parts.name} cannot ${what} after its start; register everything before`,
      { outcome: "not-executed" },
    );
  }

  async #refuseStart(): Promise<never> {
    throw new MicroError(
      "failed_precondition",
      `server ${this.#parts.name} is ${this.#state} and cannot start again; build another one`,
      { outcome: "not-executed" },
    );
  }

  /**
   * Subscribers start after the listeners and before the registration: once a caller can find the
   * server, all of it is active.
   */
  async #start(): Promise<void> {
    try {
      const opening = this.#access.open(this.methods, this.#subscribers.length > 0);
      this.#dispatcher.access = await this.#unlessClosed(opening, () => {});
      for (const place of this.#parts.listen) {
        const listening = this.#listen(place);
        this.#listeners.push(await this.#unlessClosed(listening, (it) => it.close()));
      }
      const { broker } = this.#parts;
      if (broker !== undefined) {
        for (const subscriber of this.#subscribers) {
          const subscribing = subscriber.subscribe(broker);
          this.#subscriptions.push(await this.#unlessClosed(subscribing, (it) => it.close()));
        }
      }
      await this.#register();
      this.#state = "listening";
    } catch (reason) {
      await this.#release();
      throw reason;
    }
    this.#logger.info(
      { service: this.#parts.name, id: this.#id, addresses: this.addresses },
      "the server listens",
    );
    const { name, listenWarning } = this.#parts;
    if (listenWarning !== undefined) {
      this.#logger.warn({ service: name, addresses: this.addresses }, listenWarning);
    }
  }

  async #listen({ transport, address }: ServerListen): Promise<Listener> {
    try {
      return await transport.listen(address, this.#entrance, {
        onConnectionError: (error, peer) => this.#connections.add(transport.name, peer, error),
        onRefusedOrigin: (origin) =>
          this.#logger.warn(
            { service: this.#parts.name, origin },
            "a web page may not call from this origin; allow it by MICRO_CORS_ORIGINS or http.cors.origins",
          ),
        onRefusedHost: (host) =>
          this.#logger.warn(
            { service: this.#parts.name, address, host },
            "refused requests for a host that is not one of this service; allow it by MICRO_HOSTS or the option hosts",
          ),
        notReady: () => this.#readiness.probe(this.#state),
      });
    } catch (reason) {
      const error = asMicroError(reason);
      throw new MicroError(
        error.code,
        `service ${this.#parts.name} cannot listen at ${address}: ${error.message}`,
        { outcome: "not-executed", cause: reason },
      );
    }
  }

  async #register(): Promise<void> {
    const { name, registry, ttlMs } = this.#parts;
    if (registry === undefined) return;
    if (registry.guarantees.registers === false) {
      this.#logger.info(
        { service: name, registry: registry.name },
        "the registry is only read: the service is not registered, and is found if its source has it",
      );
      return;
    }
    this.#registration = new ServerRegistration(this.#id, {
      name,
      registry,
      ttlMs,
      logger: this.#logger,
      closing: this.#closing,
      leaving: this.#drainBegun.signal,
      builtWith: this.#builtWith(),
      nodes: (id) => this.#nodes(id),
    });
    await this.#registration.begin(this.#closeBegun.signal);
  }

  /** The parts from generated code, which report the schemas they were built with. */
  #builtWith(): readonly object[] {
    const { client, broker } = this.#parts;
    return [this, client, broker].filter((it) => it !== undefined);
  }

  #nodes(id: string): readonly Node[] {
    const { name, version = "latest", metadata = {}, registry, broker } = this.#parts;
    const record: ServerRecord = {
      name,
      version,
      id,
      metadata: {
        ...metadata,
        ...builtWithMetadata(this.#builtWith()),
        ...(registry === undefined ? {} : { registry: registry.name }),
        ...(broker === undefined ? {} : { broker: broker.name }),
      },
      methods: this.methods,
      subscribers: this.#subscribers,
    };
    return this.#parts.listen.flatMap(({ transport, advertise }, index) => {
      const listener = this.#listeners[index];
      const wanted = advertise ?? (index === 0 ? undefined : false);
      if (listener === undefined || wanted === false) return [];
      const at = {
        address: advertisedAddress(listener.address, wanted),
        transport: transport.name,
        protocol: transport.listenProtocol ?? transport.protocol,
      };
      return nodesOf(record, at, index === 0 ? "" : `-${index}`);
    });
  }

  async #drain(): Promise<void> {
    await this.#started();
    if (this.#state !== "listening") return;
    this.#state = "draining";
    this.#drainBegun.abort();
    await this.#grace.wait(this.#registration?.stop() ?? Promise.resolve());
    const wasRegistered = this.#registration?.isActive === true;
    await this.#registration?.close();
    if (wasRegistered || this.#readiness.isProbed) {
      // Callers and load balancers that have not noticed yet keep calling, and get their responses.
      await this.#grace.pause(this.#parts.drainDelayMs ?? 250);
    }
    await Promise.all([
      this.#closing.endAll("unsubscribe", this.#subscriptions, (it) => it.close()),
      this.#closing.endAll("drain", this.#listeners, (it) => it.drain(), listenerName),
    ]);
  }

  protected override async closeOnce(): Promise<void> {
    this.#closeBegun.abort(this.#closedDuringStart());
    await this.#started();
    await this.#grace.wait(this.#drainOnce());
    await this.#release();
    this.#grace.end();
    this.#dispatcher.close();
    await this.#access.close();
    this.#state = "closed";
    for (const part of this.#parts.owned ?? []) {
      await this.#closing.waitFor(
        this.#closing.endAll("close", [part], (it) => it.close(), partName),
        partName(part),
      );
    }
    this.#closing.check();
  }

  /**
   * Closes everything that is open, with little time for a registry or broker that does not
   * respond.
   */
  async #release(): Promise<void> {
    const parting = new GracePeriod(partingMs);
    await parting.wait(
      Promise.all([
        this.#registration?.close(),
        this.#closing.endAll("unsubscribe", this.#subscriptions, (it) => it.close()),
      ]),
    );
    parting.end();
    await this.#closing.waitFor(
      this.#closing.endAll("close", this.#listeners, (it) => it.close(), listenerName),
      "its listeners",
    );
    this.#registration = undefined;
    this.#subscriptions = [];
    this.#listeners = [];
  }

  /** Waits for a start in progress; its failure is reported to the caller of `start`. */
  async #started(): Promise<void> {
    await this.#starting?.catch(() => {});
  }

  /**
   * Waits for something that the start opens, unless the server is closed in the meantime; anything
   * opened after that is undone.
   */
  #unlessClosed<T>(opening: Promise<T>, undo: (late: T) => unknown): Promise<T> {
    return untilAborted(opening, this.#closeBegun.signal, {
      late: (opened) => this.#closing.endAll("undo its start", [opened], undo),
    });
  }

  #closedDuringStart(): MicroError {
    return new MicroError("canceled", `server ${this.#parts.name} was closed while it started`, {
      outcome: "not-executed",
    });
  }
}

function listenerName({ address }: Listener): string {
  return `the listener at ${address}`;
}
