import type { AccessOptions } from "../auth/access-control.ts";
import type { Auth } from "../auth/auth.ts";
import type { Logger } from "../base/logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { EventsOptions } from "../broker/signed-events/events-options.ts";
import type { CredentialSource } from "../call/credential-source.ts";
import type { Client, ClientInterceptor } from "../client/client.ts";
import type { Config } from "../config/config.ts";
import type { Debug } from "../debug/debug.ts";
import type { Registry } from "../registry/registry.ts";
import type { Selector } from "../selector/selector.ts";
import type { ServerListen } from "../server/rpc-server.ts";
import type { Server, ServerInterceptor } from "../server/server.ts";
import type { Store } from "../store/store.ts";
import type { Sync } from "../sync/sync.ts";
import type { CredentialPolicyOptions } from "../transport/credential-policy.ts";
import type { Transport } from "../transport/transport.ts";
import type { Requirements } from "./check-guarantees.ts";
import type { Driver } from "./driver.ts";
import type { EnvironmentValues } from "./environment.ts";
import type { Hook } from "./hooks.ts";

/**
 * Options of a service. Absent ones come from the environment (docs/service.md lists the
 * variables), and otherwise from the built-in defaults.
 *
 * Parts that are passed here are closed by the caller, so that several services can share them; the
 * service closes those that it created.
 */
export interface ServiceOptions {
  /**
   * Name under which the service is registered: letters, digits, `-`, `_`, and `.` between labels.
   */
  readonly name?: string;
  /** Default `latest`. */
  readonly version?: string;
  /** Labels of this node that callers can select by, such as `{ zone: "a" }`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Where it listens, with the first transport. Default `127.0.0.1:0`: only this machine, a free
   * port.
   */
  readonly address?: string;
  /** Where other machines reach it, if that differs from where it listens. */
  readonly advertise?: string;
  /** All places where it listens, instead of `address` and `advertise`; the first is registered. */
  readonly listen?: readonly ServerListen[];
  /** Default: mDNS. */
  readonly registry?: Registry;
  /**
   * The transports of outgoing calls; the service also listens with the first. Default: TCP, and
   * gRPC.
   */
  readonly transports?: readonly Transport[];
  /** Default: HTTP, point to point. */
  readonly broker?: Broker;
  /**
   * Signs the events that it publishes, and verifies those that it receives; handlers then see who
   * published an event (`context.account`). Rules of type `topic` in {@link access} apply. Default:
   * events are neither signed nor verified. With {@link auth}, subscribing where other machines
   * reach the port of the broker needs `verify`.
   */
  readonly events?: EventsOptions;
  /** Default: in memory. */
  readonly store?: Store;
  /** Default: in memory, among the parts of this process. */
  readonly sync?: Sync;
  /** Default: power of two choices by latency and load. */
  readonly selector?: Selector;
  /** Default: one over the registry, the selector and the transports. */
  readonly client?: Client;
  /**
   * For the program's own use; the service does not read it. Default: the sources that
   * `MICRO_CONFIG` or `MICRO_BACKEND` name, which are loaded at the start, before `onStart`; none
   * without them.
   */
  readonly config?: Config;
  /** Default: lines on standard error, from level `info`. */
  readonly logger?: Logger;
  /**
   * Observes the service and exposes what it sees to `micro stats` and `micro logs`:
   * `debugService()` of `@micro-es/runtime/debug`. It is closed with the service. Default: none;
   * nothing is observed or exposed.
   */
  readonly debug?: Debug;
  /** Wrap every incoming call and every event of a subscriber, the first outermost. */
  readonly serverInterceptors?: readonly ServerInterceptor[];
  /** Wrap every call that its client makes, the first outermost. */
  readonly clientInterceptors?: readonly ClientInterceptor[];
  /**
   * Presents who calls, with every call that its client makes. A credential is sent only where no
   * other party can use it: over TLS to a server whose service was verified
   * (`tls.client.identityOf`), on this machine, and where {@link credentialPolicy} allows it. Other
   * calls fail with `failed_precondition`. Default: none.
   */
  readonly credentials?: CredentialSource;
  /** Where its client may send credentials in addition. */
  readonly credentialPolicy?: CredentialPolicyOptions;
  /**
   * Verifies who calls: the account and the scopes that the schema requires
   * (`micro.v1.method.auth`) are then enforced on every protocol, and calls of methods about which
   * neither the schema nor {@link access} says anything are refused. docs/auth.md explains it.
   *
   * `false` starts the service although its schema restricts callers and nothing enforces that.
   * Without either, such a service does not start.
   */
  readonly auth?: Auth | false;
  /** What decides about callers in addition to the schema; only with {@link auth}. */
  readonly access?: AccessOptions;
  /** Keys of incoming metadata to forward with calls and events made on behalf of a call. */
  readonly propagate?: readonly string[];
  /**
   * Default deadline of outgoing calls, in milliseconds. Default: the schema's, otherwise 30,000.
   */
  readonly timeoutMs?: number;
  /** Maximum number of concurrent unary calls; more are refused. Default 1,024. */
  readonly maxConcurrentCalls?: number;
  /** Maximum number of concurrent streaming calls; more are refused. Default 16,384. */
  readonly maxConcurrentStreams?: number;
  /** Time after which the registry removes a killed process, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  /** Time between leaving the registry and refusing calls, in milliseconds. Default 250. */
  readonly drainDelayMs?: number;
  /** Time for in-flight work to finish on stop, in milliseconds. Default 10,000. */
  readonly graceMs?: number;
  /**
   * Required guarantees of the parts, such as `{ broker: { delivery: "at-least-once" } }`; the
   * start fails with `failed_precondition` if a part guarantees less. The guarantees of each
   * interface list the options.
   */
  readonly require?: Requirements;
  /**
   * Backends that variables such as `MICRO_REGISTRY=etcd://10.0.0.5:2379` may name, for parts that
   * no option sets: `[nats, etcd]`, or `await loadDrivers()`. Default: those that need no
   * installation.
   */
  readonly drivers?: readonly Driver[];
  /**
   * Resources for this service only that are closed with it, in this order, after its own parts.
   */
  readonly owned?: readonly { close(): Promise<void> }[];
  /** The environment variables. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/** The lifecycle state of a service. */
export type ServiceState = "created" | "starting" | "running" | "stopping" | "stopped";

/** How to end {@link Service.run} from inside the program. */
export interface RunOptions {
  /** Stops the service as SIGTERM does. */
  readonly signal?: AbortSignal;
}

/**
 * A server with everything that a program needs to be a service. Its parts can be used and passed
 * on as soon as it is created; nothing opens before the parts are used or the service starts.
 */
export interface Service extends AsyncDisposable {
  readonly name: string;
  readonly version: string;
  /** Unique for each start of the program; the ids of its nodes end in it. */
  readonly id: string;
  readonly state: ServiceState;
  readonly server: Server;
  readonly client: Client;
  readonly broker: Broker;
  readonly registry: Registry;
  readonly store: Store;
  readonly sync: Sync;
  /**
   * The transports of outgoing calls; the service also listens with the first, unless `listen`
   * overrides it.
   */
  readonly transports: readonly Transport[];
  readonly logger: Logger;
  /**
   * The configuration from the options or from the environment's sources; undefined if there is
   * neither.
   */
  readonly config: Config | undefined;
  /**
   * Runs before the service listens, in the order in which hooks were added. A hook that fails ends
   * the start.
   */
  onStart(hook: Hook): void;
  /** Runs when the service listens and is registered. A hook that fails stops the service again. */
  onReady(hook: Hook): void;
  /**
   * Runs on stop, when no call or event is in flight and store, broker and client still work; the
   * last hook added runs first. A hook that fails is logged, does not keep the rest from running,
   * and makes the stop reject once everything is closed.
   */
  onStop(hook: Hook): void;
  /**
   * Starts the service, and resolves when it can be discovered and called.
   * @throws MicroError when the start fails; everything that was opened is closed then.
   */
  start(): Promise<void>;
  /**
   * Starts the service, waits for SIGTERM, SIGINT, the signal or {@link stop}, and resolves when
   * everything is closed. A second SIGTERM or SIGINT ends the grace period: in-flight work is
   * cancelled, and the exit code is 128 plus the signal's number. A third ends the process.
   */
  run(options?: RunOptions): Promise<void>;
  /**
   * Leaves the registry, continues to serve calls while other processes learn of it, refuses new
   * calls and events, waits for those in flight for at most `graceMs` (default: the service's), and
   * closes. Idempotent; a second call may shorten the grace period. To an event handler of the
   * service that waits for it, it resolves when all other event handlers have ended: the stop goes
   * on when the event of that handler is acknowledged.
   */
  stop(graceMs?: number): Promise<void>;
  /** The same as {@link stop}. */
  close(graceMs?: number): Promise<void>;
}
