import type { Broker } from "./broker/broker.ts";
import { httpBroker } from "./broker/http.ts";
import { memoryBroker } from "./broker/memory.ts";
import type { Client, ClientInterceptor } from "./client/client.ts";
import { buildClient } from "./client/rpc-client.ts";
import type { Debug } from "./debug/debug.ts";
import { DeferredStore } from "./deferred-store.ts";
import {
  type EnvironmentValues,
  type EnvironmentVariable,
  fromEnvironment,
  environmentVariables as variables,
} from "./environment.ts";
import { given } from "./given.ts";
import { createLogger, type LogFields, type Logger } from "./logger.ts";
import { mdnsRegistry } from "./registry/mdns.ts";
import { memoryRegistry } from "./registry/memory.ts";
import type { Registry } from "./registry/registry.ts";
import { createSelector } from "./selector/registry-selector.ts";
import type { Selector } from "./selector/selector.ts";
import { strategies } from "./selector/strategies.ts";
import type { ServerListen, ServerParts } from "./server/rpc-server.ts";
import { fileStoreGuarantees } from "./store/file-guarantees.ts";
import { memoryStore } from "./store/memory.ts";
import type { Store } from "./store/store.ts";
import { fileSync } from "./sync/file.ts";
import { memorySync } from "./sync/memory.ts";
import type { Sync } from "./sync/sync.ts";
import { goMicroTransport } from "./transport/go-micro.ts";
import { httpTransport } from "./transport/http.ts";
import { memoryTransport } from "./transport/memory.ts";
import { tcpTransport } from "./transport/tcp.ts";
import type { Transport } from "./transport/transport.ts";

/** Where a service listens when nobody says. */
const anyAddress = "0.0.0.0:0";

/** Where a server listens and is reached, in one place. */
export interface ServerAddressOptions {
  /** Where it listens. Default `0.0.0.0:0`: every interface, a free port. */
  readonly address?: string | undefined;
  /** Where others reach it, when that is not where it listens; without a port, with the listener's. */
  readonly advertise?: string | undefined;
}

/** What {@link DefaultParts.client} puts together. */
export interface ClientChoices {
  readonly registry: Registry;
  readonly transports: readonly Transport[];
  readonly logger: Logger;
  readonly selector: Selector | undefined;
  readonly interceptors: readonly ClientInterceptor[] | undefined;
  readonly timeoutMs: number | undefined;
}

/** The limits and times of a server that options and environment may set. */
export type ServerLimitOptions = Pick<
  ServerParts,
  "maxConcurrentCalls" | "maxConcurrentStreams" | "ttlMs" | "drainDelayMs"
>;

/**
 * The parts that a program gets when it names none: embedded ones, chosen by the environment. Each is made once,
 * when it is first asked for, and nothing opens before it is used. Those that were made are {@link close | closed}
 * together.
 */
export class DefaultParts {
  readonly #values: EnvironmentValues;
  readonly #logFields: LogFields;
  readonly #made: { close(): Promise<void> }[] = [];
  #logger: Logger | undefined;
  #registry: Registry | undefined;
  #transport: Transport | undefined;

  constructor(values: EnvironmentValues, logFields: LogFields = {}) {
    this.#values = values;
    this.#logFields = logFields;
  }

  /** @throws MicroError `invalid_argument` for a value that is not allowed. */
  read<T>(variable: EnvironmentVariable<T>): T | undefined {
    return fromEnvironment(variable, this.#values);
  }

  get logger(): Logger {
    const level = this.read(variables.logLevel);
    const format = this.read(variables.logFormat);
    this.#logger ??= createLogger({ fields: this.#logFields, ...given({ level, format }) });
    return this.#logger;
  }

  /** The logger that was given, else the default one; what looks at the service stands before it. */
  loggerOf({ logger = this.logger, debug }: { logger?: Logger; debug?: Debug }): Logger {
    return debug?.logger(logger, this.read(variables.logLevel) ?? "info") ?? logger;
  }

  registry(logger: Logger): Registry {
    this.#registry ??= this.#own(this.#makeRegistry(logger));
    return this.#registry;
  }

  get transport(): Transport {
    this.#transport ??= this.#makeTransport();
    return this.#transport;
  }

  /**
   * What calls go out by: what this program itself listens with, gRPC for URLs and for nodes that speak it, and mucp for
   * nodes of go-micro.
   */
  get transports(): readonly Transport[] {
    return [this.transport, httpTransport(), goMicroTransport()];
  }

  /** Where to listen: as the options say, else the environment, else at a free place of the transport. */
  listen(options: ServerAddressOptions, transport: Transport): ServerListen {
    const advertise = options.advertise ?? this.read(variables.advertise);
    const free = transport.accepts(anyAddress) ? anyAddress : "memory:0";
    return {
      transport,
      address: options.address ?? this.read(variables.address) ?? free,
      ...given({ advertise }),
    };
  }

  /** What of a server's limits and times the options or the environment say. */
  limits(options: ServerLimitOptions): ServerLimitOptions {
    return given({
      maxConcurrentCalls: options.maxConcurrentCalls ?? this.read(variables.maxConcurrentCalls),
      maxConcurrentStreams:
        options.maxConcurrentStreams ?? this.read(variables.maxConcurrentStreams),
      ttlMs: options.ttlMs ?? this.read(variables.ttl),
      drainDelayMs: options.drainDelayMs ?? this.read(variables.drainDelay),
    });
  }

  /** The broker of a service that listens at `address`; its events come in by the same network interface. */
  broker(registry: Registry, address: string, logger: Logger): Broker {
    if (this.read(variables.broker) === "memory") return this.#own(memoryBroker({ logger }));
    const advertise = hostOf(this.read(variables.advertise));
    const host = hostOf(address);
    return this.#own(
      httpBroker({
        registry,
        logger,
        address:
          this.read(variables.brokerAddress) ?? (host === undefined ? "127.0.0.1:0" : `${host}:0`),
        ...given({ advertise }),
      }),
    );
  }

  selector(registry: Registry, logger: Logger): Selector {
    const strategy = strategies[this.read(variables.selector) ?? "p2c"];
    return this.#own(createSelector({ registry, strategy, logger }));
  }

  /** A client of these parts; the options go over the environment. */
  client(options: ClientChoices): Client {
    const { registry, transports, logger, interceptors } = options;
    const timeoutMs = options.timeoutMs ?? this.read(variables.timeout);
    return this.#own(
      buildClient({
        selector: options.selector ?? this.selector(registry, logger),
        transports,
        logger,
        ...given({ interceptors, timeoutMs }),
      }),
    );
  }

  store(): Store {
    const choice = this.read(variables.store) ?? { kind: "memory" };
    if (choice.kind === "memory") return this.#own(memoryStore());
    const { path } = choice;
    return this.#own(
      new DeferredStore("file", fileStoreGuarantees, async () => {
        const { fileStore } = await import("./store/file.ts");
        return fileStore({ path });
      }),
    );
  }

  sync(): Sync {
    const choice = this.read(variables.sync) ?? { kind: "memory" };
    return this.#own(choice.kind === "memory" ? memorySync() : fileSync({ path: choice.path }));
  }

  /** All that was made here, in the order in which it is to be closed: what uses another comes first. */
  get made(): readonly { close(): Promise<void> }[] {
    return [...this.#made].reverse();
  }

  #makeTransport(): Transport {
    if (this.read(variables.transport) === "memory") return memoryTransport();
    const origins = this.read(variables.corsOrigins);
    return tcpTransport(origins === undefined ? {} : { http: { cors: { origins } } });
  }

  #makeRegistry(logger: Logger): Registry {
    if (this.read(variables.registry) === "memory") return memoryRegistry();
    const port = this.read(variables.mdnsPort);
    const networkInterface = this.read(variables.mdnsInterface);
    return mdnsRegistry({ logger, ...given({ port, interface: networkInterface }) });
  }

  #own<T extends { close(): Promise<void> }>(part: T): T {
    this.#made.push(part);
    return part;
  }
}

/** What a server is given so that it is looked at. */
export function observedBy(debug: Debug | undefined): Pick<ServerParts, "observe"> {
  return debug === undefined ? {} : { observe: (dispatcher) => debug.dispatcher(dispatcher) };
}

/** The host of `host:port` or of a lone host, with the brackets of IPv6; undefined for other addresses. */
function hostOf(address: string | undefined): string | undefined {
  if (address === undefined || /^(?:unix|memory):/.test(address)) return undefined;
  return address.replace(/:\d+$/, "");
}
