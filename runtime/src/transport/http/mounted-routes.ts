import type { Peer } from "../../call/call.ts";
import type { TransportLimits } from "../transport.ts";
import type { IncompleteBytes } from "./incomplete-bytes.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import type { StalledResponses } from "./stalled-responses.ts";

/** Routes that a listener serves in addition to the registered handlers. */
export interface MountedRoutes {
  /** Called by each listener that serves them. */
  mount(listener: MountingListener): MountedHandler;
}

/** The options of a listener that apply to mounted routes too, with the same defaults. */
export interface MountingOptions {
  readonly connect?: boolean;
  readonly grpc?: boolean;
  readonly grpcWeb?: boolean;
  readonly compressMinBytes?: number;
  readonly maxRequestBytes?: number;
  readonly maxInflationRatio?: number;
}

/** The listener that serves routes. */
export interface MountingListener {
  readonly limits: TransportLimits;
  readonly options: MountingOptions;
  /** Aborts when calls are cancelled because the listener closes. */
  readonly shutdown: AbortSignal;
}

/** What the requests of one connection share. */
export interface HttpConnection {
  readonly peer: Peer;
  readonly untaken: StalledResponses;
  /** Count the received bytes of incomplete requests: the connection, and the process. */
  readonly incomplete: readonly IncompleteBytes[];
}

/** Serves the requests of mounted routes. */
export interface MountedHandler {
  /** Whether it serves a path. */
  has(path: string): boolean;
  /** Rejects if the response could not be written because the caller disconnected. */
  respond(request: HttpRequest, response: HttpResponse, connection: HttpConnection): Promise<void>;
}
