import type { BackendUrl } from "../base/backend-url.ts";
import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { ConfigSource } from "../config/config.ts";
import type { Registry } from "../registry/registry.ts";
import type { Store } from "../store/store.ts";
import type { Sync } from "../sync/sync.ts";
import type { Transport } from "../transport/transport.ts";
import type { EnvironmentValues } from "./environment.ts";

/**
 * Creates the parts of a service on one backend. A driver is a value that an application passes to
 * `createService({ drivers })`; variables such as `MICRO_REGISTRY=etcd://…` choose among those
 * passed. A package exports its driver by name, and importing the package has no other effect.
 */
export interface Driver {
  /** The schemes of its URLs in lower case, the usual one first: `["nats", "tls"]`. */
  readonly schemes: readonly string[];
  /** Whether a URL may name several hosts. A driver without it never receives more than one. */
  readonly severalHosts?: boolean;
  /**
   * Creates what the parts share, such as a connection, for one URL; equal URLs share one call.
   * Synchronous: nothing connects before a part is used or the service starts.
   * @throws MicroError `invalid_argument` for a URL that the driver rejects; see
   * {@link readParameters}. The caller adds the variable and the URL to the message.
   */
  open(url: BackendUrl, context: DriverContext): DriverParts;
}

/**
 * The parts that a driver created for one URL. A method is present if the backend has such a part.
 * Each is called at most once; the caller closes the parts it received, and then calls `close`.
 */
export interface DriverParts {
  registry?(): Registry;
  broker?(): Broker;
  store?(): Store;
  sync?(): Sync;
  config?(): ConfigSource;
  transport?(): Transport;
  /** Closes what the parts share, after all of them; also called if no part was created. */
  close(): Promise<void>;
}

/** The kinds of parts that a driver can have, named as its methods. */
export type DriverPart = Exclude<keyof DriverParts, "close">;

/** Describes the program that a driver creates parts for. */
export interface DriverContext {
  /** The logger of the service, client or server. */
  readonly logger: Logger;
  /** The name of the service or server; undefined for a client. */
  readonly service: string | undefined;
  /** The environment variables. */
  readonly environment: EnvironmentValues;
  /**
   * How long the first use waits for an unreachable backend, in milliseconds; undefined leaves it
   * to the driver. A parameter of the URL overrides it.
   */
  readonly startTimeoutMs: number | undefined;
  /** The program's registry, for a part that finds its peers through it; not for `registry()`. */
  registry(): Registry;
  /**
   * Where the service listens, for a part that also listens: `host:port` or `unix:/path`. Undefined
   * for a client, and for a service that does not listen on a socket.
   */
  address(): string | undefined;
}
