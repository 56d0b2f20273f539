import type { Broker } from "./broker/broker.ts";
import type { Client, ClientInterceptor } from "./client/client.ts";
import type { Config } from "./config/config.ts";
import type { Debug } from "./debug/debug.ts";
import type { EnvironmentValues } from "./environment.ts";
import type { Hook } from "./hooks.ts";
import type { Logger } from "./logger.ts";
import type { Registry } from "./registry/registry.ts";
import type { Requirements } from "./requirements.ts";
import type { Selector } from "./selector/selector.ts";
import type { ServerListen } from "./server/rpc-server.ts";
import type { Server, ServerInterceptor } from "./server/server.ts";
import type { Store } from "./store/store.ts";
import type { Sync } from "./sync/sync.ts";
import type { Transport } from "./transport/transport.ts";

/**
 * What a service is made of. What is absent comes from the environment (docs/service.md lists the variables),
 * and from the embedded defaults where that is silent too.
 *
 * Parts that are given here stay their maker's to close, so that several services can share them; the service
 * closes those that it made.
 */
export interface ServiceOptions {
  /** Name that the service is registered by: letters, digits, `-`, `_`, and `.` between labels. */
  readonly name?: string;
  /** Default `latest`. */
  readonly version?: string;
  /** Labels of this node that callers can choose by, such as `{ zone: "a" }`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Where it listens, with the first transport. Default `0.0.0.0:0`: every interface, a free port. */
  readonly address?: string;
  /** Where others reach it, when that is not where it listens. */
  readonly advertise?: string;
  /** All places where it listens, instead of `address` and `advertise`; the first is registered. */
  readonly listen?: readonly ServerListen[];
  /** Default: mDNS. */
  readonly registry?: Registry;
  /** What calls go out by; the first is also what the service listens with. Default: TCP, and gRPC. */
  readonly transports?: readonly Transport[];
  /** Default: HTTP, point to point. */
  readonly broker?: Broker;
  /** Default: in memory. */
  readonly store?: Store;
  /** Default: in memory, among the parts of this process. */
  readonly sync?: Sync;
  /** Default: power of two choices by latency and load. */
  readonly selector?: Selector;
  /** Default: one over the registry, the selector and the transports. */
  readonly client?: Client;
  /** For the program's own use; the service does not read it. */
  readonly config?: Config;
  /** Default: lines on standard error, from `info` on. */
  readonly logger?: Logger;
  /**
   * Sees what the service does, and tells of it to `micro stats` and `micro logs`: `debugService()` of
   * `@micro-es/runtime/debug`. It is closed with the service. Default: nothing looks, and nothing is told.
   */
  readonly debug?: Debug;
  /** Around every call that the service answers, the first outermost. */
  readonly serverInterceptors?: readonly ServerInterceptor[];
  /** Around every call that its client makes, the first outermost. */
  readonly clientInterceptors?: readonly ClientInterceptor[];
  /** Keys of incoming metadata that go along with calls and events made on behalf of a call. */
  readonly propagate?: readonly string[];
  /**
   * Deadline of outgoing calls that name none themselves, in milliseconds. Default: the schema's, else 30,000.
   */
  readonly timeoutMs?: number;
  /** Unary calls that are answered at once; more are refused. Default 1,024. */
  readonly maxConcurrentCalls?: number;
  /** Streaming calls that are open at once; more are refused. Default 16,384. */
  readonly maxConcurrentStreams?: number;
  /** Time after which a killed process is gone from the registry, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  /** Time between leaving the registry and refusing calls, in milliseconds. Default 250. */
  readonly drainDelayMs?: number;
  /** Time for what is in flight to finish at a stop, in milliseconds. Default 10,000. */
  readonly graceMs?: number;
  /**
   * What the parts have to promise, such as `{ broker: { delivery: "at-least-once" } }`; the start fails with
   * `failed_precondition` when one promises less. The guarantees of each interface say what there is to ask for.
   */
  readonly require?: Requirements;
  /** What was made for this service alone and is closed with it, in this order, after its own parts. */
  readonly owned?: readonly { close(): Promise<void> }[];
  /** Where the variables are. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/** What a service is doing. */
export type ServiceState = "created" | "starting" | "running" | "stopping" | "stopped";

/** How {@link Service.run} is ended from inside the program. */
export interface RunOptions {
  /** Stops the service as SIGTERM does. */
  readonly signal?: AbortSignal;
}

/**
 * A server with everything around it that a program needs to be one service among others. Its parts can be used
 * and passed on as soon as it is created; nothing opens before they are used or the service starts.
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
  readonly logger: Logger;
  /** The one that was given; undefined when there is none. */
  readonly config: Config | undefined;
  /** Runs before the service listens, in the order they were added. One that fails ends the start. */
  onStart(hook: Hook): void;
  /** Runs when the service listens and is registered. One that fails stops it again. */
  onReady(hook: Hook): void;
  /**
   * Runs at a stop, when no call or event is in flight any more and store, broker and client still work; the
   * last that was added first. One that fails is logged, does not keep the rest from running, and makes the
   * stop reject when everything is closed.
   */
  onStop(hook: Hook): void;
  /**
   * Starts, and resolves when the service can be found and called.
   * @throws MicroError when it cannot; everything that was opened is closed then.
   */
  start(): Promise<void>;
  /**
   * Starts, waits for SIGTERM, SIGINT, the signal or {@link stop}, and resolves when everything is closed. A
   * second SIGTERM or SIGINT ends the grace: what is in flight is cancelled, and the exit code is 128 and the
   * signal's number. A third ends the process.
   */
  run(options?: RunOptions): Promise<void>;
  /**
   * Leaves the registry, goes on answering while that becomes known, refuses new calls and events, waits for
   * those in flight at most `graceMs` (default: the service's), and closes. Idempotent; a second call may
   * shorten the grace.
   */
  stop(graceMs?: number): Promise<void>;
  /** The same as {@link stop}. */
  close(graceMs?: number): Promise<void>;
}
