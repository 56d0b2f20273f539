import type { AccessOptions } from "../auth/access-control.ts";
import type { Auth } from "../auth/auth.ts";
import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { Client } from "../client/client.ts";
import type { Registry } from "../registry/registry.ts";
import type { Dispatcher, Transport } from "../transport/transport.ts";
import type { ServerInterceptor } from "./server.ts";

/** One address at which a server listens. */
export interface ServerListen {
  readonly transport: Transport;
  /**
   * Such as `0.0.0.0:0`, `unix:/run/greeter.sock` or `memory:greeter`; port 0 selects a free port.
   */
  readonly address: string;
  /**
   * The address announced to others, if it differs from the listen address, for example behind a
   * port mapping; without a port the listener's is used. `false` keeps the address out of the
   * registry.
   *
   * Default: the first address of a server is registered and the others are not, so that callers do
   * not mistake one server for several.
   */
  readonly advertise?: string | false;
}

/** The parts of a server, for `buildServer`. */
export interface ServerParts {
  /** Logged as a warning once the server listens. */
  readonly listenWarning?: string;
  /** Name of the service. */
  readonly name: string;
  /** Unique for each start; part of the ids of its nodes. Default: a new UUID. */
  readonly id?: string;
  /** Default `latest`. */
  readonly version?: string;
  /** Properties by which callers can select this server, such as `zone`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly listen: readonly ServerListen[];
  /** Without one, the server can only be reached by address. */
  readonly registry?: Registry;
  /** The source of events for subscribers. Without one, subscribers cannot be registered. */
  readonly broker?: Broker;
  /**
   * Verifies who calls; the server then enforces what the schema and {@link access} say, and by
   * default refuses calls of methods about which they say nothing. The caller closes it.
   *
   * `false` starts the server although its schema requires an account or scopes of callers and
   * nothing enforces that. Without either, such a server does not start.
   */
  readonly auth?: Auth | false;
  /**
   * A token that opens the debug service to callers without an account, and nothing else; without
   * effect where there is no auth.
   */
  readonly debugToken?: string | undefined;
  /** What decides about callers in addition to the schema; only with {@link auth}. */
  readonly access?: AccessOptions;
  /** The program's client; the schemas that its calls were built with are registered too. */
  readonly client?: Client;
  /** Run around every call and every event; the first is outermost. */
  readonly interceptors?: readonly ServerInterceptor[];
  /**
   * Wraps the dispatcher between the transports and the server, to observe every call as the
   * transports see it.
   */
  readonly observe?: (dispatcher: Required<Dispatcher>) => Dispatcher;
  /**
   * Maximum number of unary calls whose handlers run concurrently; more are refused. Default 1,024.
   */
  readonly maxConcurrentCalls?: number;
  /** Maximum number of open streaming calls; more are refused. Default 16,384. */
  readonly maxConcurrentStreams?: number;
  /**
   * How long a handler may keep running after its call was cancelled before it is no longer
   * counted, in milliseconds. Default 30,000.
   */
  readonly abandonAfterMs?: number;
  /** Keys of incoming metadata to propagate to calls and events made while handling a call. */
  readonly propagate?: readonly string[];
  /** How long after its process dies the node disappears, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  /** Time between leaving the registry and refusing calls, in milliseconds. Default 250. */
  readonly drainDelayMs?: number;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  /** Closed after the server; for parts created for this server alone. */
  readonly owned?: readonly { close(): Promise<void> }[];
}
