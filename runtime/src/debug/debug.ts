import type { Logger, LogLevel } from "../logger.ts";
import type { Server } from "../server/server.ts";
import type { Dispatcher } from "../transport/transport.ts";

/** The service that a {@link Debug} belongs to. */
export interface DebuggedService {
  readonly name: string;
  readonly version: string;
  /** Of the node that the service is registered as. */
  readonly nodeId: string;
  readonly server: Server;
}

/**
 * Sees what a service does, and tells of it. A service without one pays nothing: what it sees stands around the parts
 * and not in them. It belongs to one service.
 */
export interface Debug extends AsyncDisposable {
  /**
   * Stands before the logger of the service.
   * @param level the least level that the service logs.
   */
  logger(logger: Logger, level: LogLevel): Logger;
  /** Stands between the transports of the service and its handlers. */
  dispatcher(dispatcher: Required<Dispatcher>): Dispatcher;
  /** Adds methods of its own to the server, before that starts. */
  register(service: DebuggedService): void;
  /** Ends what it looks at by itself. Idempotent. */
  close(): Promise<void>;
}
