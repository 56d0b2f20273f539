import type { AccessOptions } from "../auth/access-control.ts";
import type { Auth } from "../auth/auth.ts";
import { BackendUrl } from "../base/backend-url.ts";
import { MicroError } from "../base/error.ts";
import { createLogger, type Logger } from "../base/logger.ts";
import { omitUndefined } from "../base/omit-undefined.ts";
import { closeInOrder } from "../base/settle-all.ts";
import type { Broker } from "../broker/broker.ts";
import { guardedBroker } from "../broker/guarded-entrance.ts";
import type { EventsOptions } from "../broker/signed-events/events-options.ts";
import { signedBroker } from "../broker/signed-events/signed-broker.ts";
import type { CredentialSource } from "../call/credential-source.ts";
import type { Client, ClientInterceptor } from "../client/client.ts";
import { buildClient } from "../client/rpc-client.ts";
import type { Config, ConfigSource } from "../config/config.ts";
import { configOf } from "../config/load.ts";
import type { Debug } from "../debug/debug.ts";
import { goMicroTransport } from "../go-micro/transport.ts";
import { mergeRegistries } from "../registry/merged/registry.ts";
import type { Registry } from "../registry/registry.ts";
import { createSelector } from "../selector/registry-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { strategies } from "../selector/strategies.ts";
import type { ServerListen, ServerParts } from "../server/rpc-server.ts";
import type { Store } from "../store/store.ts";
import type { Sync } from "../sync/sync.ts";
import type { CredentialPolicyOptions } from "../transport/credential-policy.ts";
import { httpTransport } from "../transport/http/transport.ts";
import type { Transport } from "../transport/transport.ts";
import { Backends, type NamedUrl } from "./backends.ts";
import type { Driver, DriverParts } from "./driver.ts";
import {
  type EnvironmentValues,
  type EnvironmentVariable,
  fromEnvironment,
  environmentVariables as variables,
} from "./environment.ts";

/**
 * The default listen address. Until the service has authentication, any caller that reaches it can
 * call everything; so being reachable from other machines must be a decision.
 */
const localAddress = "127.0.0.1:0";

/** The listen and advertised addresses of a server with a single listener. */
export interface ServerAddressOptions {
  /** Where it listens. Default `127.0.0.1:0`: only this machine, a free port. */
  readonly address?: string | undefined;
  /**
   * Where other machines reach it, if that differs from where it listens; without a port, the
   * listener's port is used.
   */
  readonly advertise?: string | undefined;
}

/** The limits and timeouts of a server that options and environment can set. */
export type ServerLimitOptions = Pick<
  ServerParts,
  "maxConcurrentCalls" | "maxConcurrentStreams" | "ttlMs" | "drainDelayMs"
>;

/** The options with which a program sets its parts. */
export interface PartOptions extends ServerAddressOptions, ServerLimitOptions {
  readonly registry?: Registry;
  readonly broker?: Broker;
  readonly events?: EventsOptions;
  readonly auth?: Auth | false;
  readonly access?: AccessOptions;
  readonly store?: Store;
  readonly sync?: Sync;
  readonly config?: Config;
  readonly selector?: Selector;
  readonly transports?: readonly Transport[];
  readonly listen?: readonly ServerListen[];
  readonly client?: Client;
  readonly clientInterceptors?: readonly ClientInterceptor[];
  readonly credentials?: CredentialSource;
  readonly credentialPolicy?: CredentialPolicyOptions;
  readonly timeoutMs?: number;
  readonly drivers?: readonly Driver[];
  readonly logger?: Logger;
  readonly debug?: Debug;
  readonly environment?: EnvironmentValues;
}

/** The defaults when neither options nor variables choose: parts that need no installation. */
const byDefault = {
  registry: "mdns:",
  transport: "tcp:",
  broker: "http:",
  store: "memory:",
  sync: "memory:",
} as const;

/**
 * The parts of a program: from an option, otherwise the one that a variable names, otherwise that
 * of `MICRO_BACKEND`, otherwise the default. Each is created once, on first use, and nothing
 * connects before it is used. Those created here are {@link made | closed} together.
 */
export class ChosenParts {
  /** The environment variables. */
  readonly values: EnvironmentValues;
  readonly logger: Logger;
  readonly #options: PartOptions;
  readonly #backends: Backends;
  readonly #made: { close(): Promise<void> }[] = [];
  #registry: Registry | undefined;
  #broker: Broker | undefined;
  #store: Store | undefined;
  #sync: Sync | undefined;
  #config: Config | undefined;
  #selector: Selector | undefined;
  #client: Client | undefined;
  #transports: readonly Transport[] | undefined;
  #transport: Transport | undefined;
  #listen: readonly ServerListen[] | undefined;

  /**
   * @param name of the service or server; undefined for a client.
   * @throws MicroError `invalid_argument` for a value that is not allowed.
   */
  constructor(options: PartOptions, name?: string) {
    this.#options = options;
    this.values = options.environment ?? process.env;
    this.logger = this.#chooseLogger(name);
    this.#backends = new Backends(
      options.drivers ?? [],
      {
        logger: this.logger,
        service: name,
        environment: this.values,
        startTimeoutMs: this.read(variables.startTimeout),
        registry: () => this.registry,
        address: () => (name === undefined ? undefined : this.#socketAddress()),
      },
      (parts) => this.#made.push(parts),
    );
  }

  /** @throws MicroError `invalid_argument` for a value that is not allowed. */
  read<T>(variable: EnvironmentVariable<T>): T | undefined {
    return fromEnvironment(variable, this.values);
  }

  get registry(): Registry {
    this.#registry ??= this.#options.registry ?? this.#own(this.#chooseRegistry());
    return this.#registry;
  }

  /**
   * The registry that was passed, or that the selector created here uses; undefined if there is
   * neither.
   */
  get registryOfSelector(): Registry | undefined {
    return this.#options.selector === undefined ? this.registry : this.#options.registry;
  }

  get broker(): Broker {
    this.#broker ??= this.#withEvents(
      this.#options.broker ?? this.#own(this.#choose("broker", this.read(variables.broker))),
    );
    return this.#broker;
  }

  get store(): Store {
    this.#store ??=
      this.#options.store ?? this.#own(this.#choose("store", this.read(variables.store)));
    return this.#store;
  }

  get sync(): Sync {
    this.#sync ??= this.#options.sync ?? this.#own(this.#choose("sync", this.read(variables.sync)));
    return this.#sync;
  }

  /**
   * The configuration from the options, or one over the sources that the environment names; it is
   * loaded at the start.
   */
  get config(): Config | undefined {
    this.#config ??= this.#options.config ?? this.#makeConfig();
    return this.#config;
  }

  /**
   * The transports of outgoing calls: the one that the program itself listens with, the transport
   * of `MICRO_BACKEND`, gRPC for URLs and for nodes that speak it, and mucp for go-micro nodes.
   */
  get transports(): readonly Transport[] {
    this.#transports ??= this.#options.transports ?? [
      this.#ownTransport(),
      ...this.#backendTransport(),
      httpTransport(),
      goMicroTransport(),
    ];
    return this.#transports;
  }

  /**
   * Where to listen: from the options, otherwise the environment, otherwise a free port on this
   * machine.
   */
  get listen(): readonly ServerListen[] {
    this.#listen ??= this.#options.listen ?? [this.#listenOnce()];
    return this.#listen;
  }

  get selector(): Selector {
    this.#selector ??= this.#options.selector ?? this.#own(this.#makeSelector());
    return this.#selector;
  }

  /** @throws MicroError `invalid_argument` for options of a client that was passed. */
  get client(): Client {
    const { client, credentials, credentialPolicy } = this.#options;
    if (client !== undefined && (credentials ?? credentialPolicy) !== undefined) {
      throw new MicroError(
        "invalid_argument",
        "credentials and credentialPolicy have no effect together with client; set them on the client that you pass",
        { outcome: "not-executed" },
      );
    }
    this.#client ??= this.#options.client ?? this.#own(this.#makeClient());
    return this.#client;
  }

  /**
   * A warning if the address is the default, and the registry that publishes it is shared between
   * machines.
   */
  get listenWarning(): Pick<ServerParts, "listenWarning"> {
    const { listen, address } = this.#options;
    const chosen = listen ?? address ?? this.read(variables.address);
    if (chosen !== undefined) return {};
    const { registers, reach } = this.registry.guarantees;
    if (!registers || reach !== "backend") return {};
    if (this.listen[0]?.address !== localAddress) return {};
    return {
      listenWarning:
        "only this machine reaches the service, and other machines find it in the registry; MICRO_ADDRESS=0.0.0.0:0 listens on every interface, MICRO_ADDRESS=127.0.0.1:0 keeps it as it is without this warning",
    };
  }

  /** A server's limits and timeouts as set by the options or the environment. */
  get limits(): ServerLimitOptions {
    const { maxConcurrentCalls, maxConcurrentStreams, ttlMs, drainDelayMs } = this.#options;
    return omitUndefined({
      maxConcurrentCalls: maxConcurrentCalls ?? this.read(variables.maxConcurrentCalls),
      maxConcurrentStreams: maxConcurrentStreams ?? this.read(variables.maxConcurrentStreams),
      ttlMs: ttlMs ?? this.read(variables.ttl),
      drainDelayMs: drainDelayMs ?? this.read(variables.drainDelay),
    });
  }

  /**
   * Everything created here, in closing order: a part before those that it uses, so connections
   * come last.
   */
  get made(): readonly { close(): Promise<void> }[] {
    return [...this.#made].reverse();
  }

  /**
   * Creates something from these parts, and closes the created parts if that fails.
   * @throws what `make` throws.
   */
  use<T>(make: () => T): T {
    try {
      return make();
    } catch (reason) {
      this.closeUnused();
      throw reason;
    }
  }

  /** Closes everything created here, because nothing uses it. A failure is logged. */
  closeUnused(): void {
    void closeInOrder(...this.made.map((part) => () => part.close())).catch((error) =>
      this.logger.warn({ error }, "a part of a service that was not created did not close"),
    );
  }

  #chooseLogger(service: string | undefined): Logger {
    const { logger, debug } = this.#options;
    const level = this.read(variables.logLevel);
    const format = this.read(variables.logFormat);
    const fields = service === undefined ? {} : { service };
    const chosen = logger ?? createLogger({ fields, ...omitUndefined({ level, format }) });
    return debug?.logger(chosen, level ?? "info") ?? chosen;
  }

  /** The registry that its variable names, or all of those that it names, merged. */
  #chooseRegistry(): Registry {
    const { name: variable } = variables.registry;
    const urls = this.read(variables.registry);
    const [url, ...more] = urls ?? [];
    if (urls === undefined || more.length === 0) return this.#choose("registry", url);
    const twice = urls.find((each, index) => urls.some((it, at) => at < index && it.equals(each)));
    if (twice !== undefined) {
      throw new MicroError("invalid_argument", `${variable} names ${twice} twice`, {
        outcome: "not-executed",
      });
    }
    const made: Registry[] = [];
    try {
      for (const url of urls) made.push(this.#backends.part("registry", { variable, url }));
    } catch (reason) {
      // Closed with everything else that was created.
      for (const registry of made) this.#own(registry);
      throw reason;
    }
    return mergeRegistries(made);
  }

  /** The part that its variable names, or that the backend has, or the default one. */
  #choose<P extends keyof typeof byDefault>(
    kind: P,
    url: BackendUrl | undefined,
  ): ReturnType<NonNullable<DriverParts[P]>> {
    if (url !== undefined)
      return this.#backends.part(kind, { variable: variables[kind].name, url });
    const backend = this.#backend();
    return (
      (backend && kind !== "transport" ? this.#backends.partIfAny(kind, backend) : undefined) ??
      this.#backends.part(kind, { variable: undefined, url: BackendUrl.parse(byDefault[kind])! })
    );
  }

  #withEvents(broker: Broker): Broker {
    const { events, access, auth } = this.#options;
    const signed = events === undefined ? broker : signedBroker(broker, events, access?.rules);
    return auth === undefined || auth === false ? signed : guardedBroker(signed);
  }

  #backend(): NamedUrl | undefined {
    const url = this.read(variables.backend);
    return url && { variable: variables.backend.name, url };
  }

  #ownTransport(): Transport {
    this.#transport ??= this.#choose("transport", this.read(variables.transport));
    return this.#transport;
  }

  /** The transport for calling services that listen only on the backend. */
  #backendTransport(): readonly Transport[] {
    const backend = this.#backend();
    if (backend === undefined || this.read(variables.transport)?.equals(backend.url)) return [];
    const transport = this.#backends.partIfAny("transport", backend);
    return transport === undefined ? [] : [transport];
  }

  #listenOnce(): ServerListen {
    const transport = this.#options.transports?.[0] ?? this.#ownTransport();
    const advertise = this.#options.advertise ?? this.read(variables.advertise);
    const free = transport.accepts(localAddress) ? localAddress : `${transport.name}:0`;
    const address = this.#options.address ?? this.read(variables.address) ?? free;
    return { transport, address, ...omitUndefined({ advertise }) };
  }

  /** Where the server listens; undefined if that is in the process or on a backend. */
  #socketAddress(): string | undefined {
    const [first] = this.listen;
    return first?.transport.accepts(localAddress) === true ? first.address : undefined;
  }

  /** The sources that the environment names. The caller closes them, before {@link made}. */
  configSources(): readonly ConfigSource[] {
    const { name: variable } = variables.config;
    const urls = this.read(variables.config);
    const backend = this.#backend();
    const sources =
      urls?.map((url) => this.#backends.part("config", { variable, url })) ??
      (backend === undefined ? [] : [this.#backends.partIfAny("config", backend)]);
    return sources.filter((source) => source !== undefined);
  }

  #makeConfig(): Config | undefined {
    const sources = this.configSources();
    if (sources.length === 0) return undefined;
    return this.#own(configOf(sources, { logger: this.logger }));
  }

  #makeSelector(): Selector {
    const strategy = strategies[this.read(variables.selector) ?? "p2c"];
    return createSelector({ registry: this.registry, strategy, logger: this.logger });
  }

  #makeClient(): Client {
    const { clientInterceptors: interceptors, credentials, credentialPolicy } = this.#options;
    const timeoutMs = this.#options.timeoutMs ?? this.read(variables.timeout);
    const { selector, transports, logger } = this;
    return buildClient({
      selector,
      transports,
      logger,
      ...omitUndefined({ interceptors, timeoutMs, credentials, credentialPolicy }),
    });
  }

  #own<T extends { close(): Promise<void> }>(part: T): T {
    this.#made.push(part);
    return part;
  }
}

/** The server parts that connect it to the debug service. */
export function observedBy(
  debug: Debug | undefined,
  token: string | undefined,
): Pick<ServerParts, "observe" | "debugToken"> {
  if (debug === undefined) return {};
  return {
    observe: (dispatcher) => debug.dispatcher(dispatcher),
    debugToken: debug.token === undefined ? token : debug.token(token),
  };
}
