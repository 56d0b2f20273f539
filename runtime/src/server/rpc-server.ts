import { randomUUID } from "node:crypto";
import { advertisedAddress } from "../advertised-address.ts";
import type { Broker, Subscription } from "../broker/broker.ts";
import type { Topic } from "../broker/topic.ts";
import { builtWithMetadata } from "../built-with.ts";
import type { Awaitable, CallContext } from "../call.ts";
import type { Client } from "../client/client.ts";
import type { AnyCodec } from "../codec/codec.ts";
import { asMicroError, MicroError } from "../error.ts";
import { type Logger, silentLogger } from "../logger.ts";
import type { AnyMethod, Method, MethodKind } from "../method.ts";
import type { Node, Registration, Registry } from "../registry/registry.ts";
import type { Dispatcher, Listener, Transport } from "../transport/transport.ts";
import { ConnectionLog } from "./connection-log.ts";
import { HandlerDispatcher } from "./dispatcher.ts";
import { describe } from "./faults.ts";
import { GracePeriod } from "./grace.ts";
import { clientStreamHandler, type Handler, serverStreamHandler } from "./handlers.ts";
import { registerAll } from "./presence.ts";
import { RecordRenewal } from "./record-renewal.ts";
import { nodesOf, type ServerRecord } from "./registration.ts";
import type {
  EventContext,
  Server,
  ServerInterceptor,
  ServerState,
  ServerStats,
  SubscriberOptions,
} from "./server.ts";
import { createSubscriber, noBroker, type Subscriber } from "./subscribers.ts";

/** One place where a server listens. */
export interface ServerListen {
  readonly transport: Transport;
  /** Such as `0.0.0.0:0`, `unix:/run/greeter.sock` or `memory:greeter`; port 0 takes a free one. */
  readonly address: string;
  /**
   * Where others reach it, when that is not where it listens, as behind a port mapping; without a port it
   * takes the listener's. `false` keeps the address out of the registry.
   *
   * Default: the first place of a server is registered and the others are not, so that callers do not take
   * one server for several.
   */
  readonly advertise?: string | false;
}

/** What {@link buildServer} puts together. */
export interface ServerParts {
  /** Name of the service that this is a server of. */
  readonly name: string;
  /** Unique for each start; part of the ids of its nodes. Default: a new UUID. */
  readonly id?: string;
  /** Default `latest`. */
  readonly version?: string;
  /** What callers may choose this server by, such as `zone`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly listen: readonly ServerListen[];
  /** Without one, the server is found by its address only. */
  readonly registry?: Registry;
  /** What subscribers take their events from. Without one, a subscriber cannot be registered. */
  readonly broker?: Broker;
  /** What the program calls others with; the registry is told what its calls were built with. */
  readonly client?: Client;
  /** Around every call, the first outermost. */
  readonly interceptors?: readonly ServerInterceptor[];
  /** Puts something between the transports and the server that sees every call as they do. */
  readonly observe?: (dispatcher: Required<Dispatcher>) => Dispatcher;
  /** Unary calls whose handlers are at work at once; more are refused. Default 1,024. */
  readonly maxConcurrentCalls?: number;
  /** Calls of the streaming kinds that are open at once; more are refused. Default 16,384. */
  readonly maxConcurrentStreams?: number;
  /** Time for a handler to end after its call was cancelled; then it is not counted any more. Default 30,000. */
  readonly abandonAfterMs?: number;
  /** Keys of incoming metadata that go along with calls and events made while a call is answered. */
  readonly propagate?: readonly string[];
  /** The node disappears this long after its process died, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  /** Time between leaving the registry and refusing calls, in milliseconds. Default 250. */
  readonly drainDelayMs?: number;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  /** Closed after the server; for whoever made them for this server alone. */
  readonly owned?: readonly { close(): Promise<void> }[];
}

/** The least time that closing gives registry and broker to forget a server, in milliseconds. */
const partingMs = 1_000;

/** Makes a server out of its parts. It opens nothing before `start`. */
export function buildServer(parts: ServerParts): Server {
  return new RpcServer(parts);
}

class RpcServer implements Server {
  readonly #parts: ServerParts;
  readonly #id: string;
  readonly #logger: Logger;
  readonly #dispatcher: HandlerDispatcher;
  /** What transports bring their calls to. */
  readonly #entrance: Dispatcher;
  readonly #subscribers: Subscriber[] = [];
  readonly #connections: ConnectionLog;
  readonly #grace = new GracePeriod();
  readonly #drainBegun = new AbortController();
  #listeners: Listener[] = [];
  #subscriptions: Subscription[] = [];
  #registrations: readonly Registration[] = [];
  #recordRenewal: RecordRenewal | undefined;
  #state: ServerState = "created";
  #starting: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#id = parts.id ?? randomUUID();
    this.#logger = parts.logger ?? silentLogger;
    this.#connections = new ConnectionLog(this.#logger);
    this.#dispatcher = new HandlerDispatcher({
      name: parts.name,
      interceptors: parts.interceptors ?? [],
      maxConcurrentCalls: parts.maxConcurrentCalls ?? 1_024,
      maxConcurrentStreams: parts.maxConcurrentStreams ?? 16_384,
      abandonAfterMs: parts.abandonAfterMs ?? 30_000,
      propagate: parts.propagate ?? [],
      logger: this.#logger,
    });
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
    if (this.#parts.broker === undefined) throw noBroker(this.#parts.name, topic.name);
    this.#subscribers.push(createSubscriber(topic, handler, options, this.#parts.propagate ?? []));
  }

  start(): Promise<void> {
    if (this.#draining !== undefined || this.#closing !== undefined) return this.#refuseStart();
    this.#starting ??= this.#start().finally(() => {
      if (this.#state === "created") this.#starting = undefined;
    });
    return this.#starting;
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  close(graceMs = 0): Promise<void> {
    this.#grace.shorten(graceMs);
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
      `server ${this.#parts.name} cannot ${what} any more: it has started; register all before that`,
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
   * Subscribers come after the listeners and before the registration: when a caller can find the server,
   * everything it does is in force.
   */
  async #start(): Promise<void> {
    try {
      for (const place of this.#parts.listen) this.#listeners.push(await this.#listen(place));
      const { broker } = this.#parts;
      if (broker !== undefined) {
        for (const subscriber of this.#subscribers) {
          this.#subscriptions.push(await subscriber.subscribe(broker));
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
  }

  async #listen({ transport, address }: ServerListen): Promise<Listener> {
    try {
      return await transport.listen(address, this.#entrance, {
        onConnectionError: (error, peer) => this.#connections.add(transport.name, peer, error),
      });
    } catch (reason) {
      const error = asMicroError(reason);
      const remedy =
        error.code === "already_exists"
          ? "; stop the other, or listen at another address: port 0 takes a free one"
          : "";
      throw new MicroError(
        error.code,
        `service ${this.#parts.name} cannot listen at ${address}: ${error.message}${remedy}`,
        { outcome: "not-executed", cause: reason },
      );
    }
  }

  async #register(): Promise<void> {
    const { registry, ttlMs } = this.#parts;
    if (registry === undefined) return;
    const options = ttlMs === undefined ? {} : { ttlMs };
    const register = () => registerAll(registry, this.#nodes(), options, this.#logger);
    this.#registrations = await register();
    this.#recordRenewal = new RecordRenewal(this.#builtWith(), () => this.#renew(register));
  }

  /** Registers the same nodes with what is known of them now. */
  async #renew(register: () => Promise<readonly Registration[]>): Promise<void> {
    const before = this.#registrations;
    try {
      this.#registrations = await register();
    } catch (error) {
      this.#logger.warn(
        { service: this.#parts.name, error: describe(error) },
        "the registry was not told what schemas the service was built with",
      );
      return;
    }
    await this.#all("replace the record of", before, (it) => it.close());
  }

  /** What generated code was given, and has said what it was built with. */
  #builtWith(): readonly object[] {
    const { client, broker } = this.#parts;
    return [this, client, broker].filter((it) => it !== undefined);
  }

  #nodes(): readonly Node[] {
    const { name, version = "latest", metadata = {}, registry, broker } = this.#parts;
    const record: ServerRecord = {
      name,
      version,
      id: this.#id,
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
        protocol: transport.protocol,
      };
      return nodesOf(record, at, index === 0 ? "" : `-${index}`);
    });
  }

  async #drain(): Promise<void> {
    await this.#started();
    if (this.#state !== "listening") return;
    this.#state = "draining";
    this.#drainBegun.abort();
    await this.#grace.wait(this.#recordRenewal?.stop() ?? Promise.resolve());
    if (this.#registrations.length > 0) {
      await this.#all("deregister", this.#registrations, (it) => it.close());
      // Callers who have not heard of it yet go on calling, and are answered.
      await this.#grace.pause(this.#parts.drainDelayMs ?? 250);
    }
    await Promise.all([
      this.#all("unsubscribe", this.#subscriptions, (it) => it.close()),
      this.#all("drain", this.#listeners, (it) => it.drain()),
    ]);
  }

  async #close(): Promise<void> {
    await this.#started();
    await this.#grace.wait(this.drain());
    await this.#release();
    this.#grace.end();
    this.#dispatcher.close();
    this.#state = "closed";
    await this.#all("close", this.#parts.owned ?? [], (it) => it.close());
  }

  /** Ends all that is open, with little time for a registry or broker that does not answer. */
  async #release(): Promise<void> {
    const parting = new GracePeriod(partingMs);
    await parting.wait(
      Promise.all([
        this.#all("deregister", this.#registrations, (it) => it.close()),
        this.#all("unsubscribe", this.#subscriptions, (it) => it.close()),
      ]),
    );
    parting.end();
    await this.#all("close", this.#listeners, (it) => it.close());
    this.#registrations = [];
    this.#subscriptions = [];
    this.#listeners = [];
  }

  /** Waits for a start that is under way; its failure is for whoever called it. */
  async #started(): Promise<void> {
    await this.#starting?.catch(() => {});
  }

  /** Does the same with all, and logs the failures: the rest must be ended all the same. */
  async #all<T>(what: string, all: readonly T[], end: (one: T) => Promise<void>): Promise<void> {
    const results = await Promise.allSettled(all.map((one) => end(one)));
    for (const result of results) {
      if (result.status === "rejected") {
        this.#logger.warn(
          { service: this.#parts.name, error: describe(result.reason) },
          `the server could not ${what} cleanly`,
        );
      }
    }
  }
}
