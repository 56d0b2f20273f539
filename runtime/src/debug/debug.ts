import type { Logger, LogLevel } from "../base/logger.ts";
import type { Server } from "../server/server.ts";
import type { Dispatcher } from "../transport/transport.ts";

/** The service that a {@link Debug} belongs to. */
export interface DebuggedService {
  readonly name: string;
  readonly version: string;
  /** Id of the node that the service is registered as. */
  readonly nodeId: string;
  readonly server: Server;
  readonly logger: Logger;
  /**
   * Token that callers must send, as set by the environment; an option of the debug service
   * overrides it.
   */
  readonly debugToken: string | undefined;
}

/**
 * Observes a service and reports on it. A service without one pays nothing: it wraps the parts
 * instead of being built into them. It belongs to one service.
 */
export interface Debug extends AsyncDisposable {
  /**
   * Wraps the logger of the service.
   * @param level the minimum level that the service logs.
   */
  logger(logger: Logger, level: LogLevel): Logger;
  /**
   * The token that callers must send; absent if that of the environment counts.
   * @param ofEnvironment the token that the environment sets.
   */
  token?(ofEnvironment: string | undefined): string | undefined;
  /** Wraps the dispatcher between the transports of the service and its handlers. */
  dispatcher(dispatcher: Required<Dispatcher>): Dispatcher;
  /** Adds its own methods to the server, before the server starts. */
  register(service: DebuggedService): void;
  /** Stops its own measurements. Idempotent. */
  close(): Promise<void>;
}
