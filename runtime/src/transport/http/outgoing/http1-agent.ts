import { Agent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { TLSSocket } from "node:tls";
import { type ClientTlsOptions, onServerExpiry } from "../../tls.ts";
import type { TransportLimits } from "../../transport.ts";
import type { DialTarget } from "./dial-target.ts";

/** How connections are secured. */
export interface SecureOptions {
  /** For `connect` of `node:tls`. */
  readonly options: object;
  readonly tls: ClientTlsOptions;
}

/** Connections of HTTP/1.1 to one server: each carries one call at a time, and is used again. */
export function http1Agent(
  { isSecure, lookup }: DialTarget,
  limits: TransportLimits,
  secure: SecureOptions,
): Agent {
  const options = {
    // Deno cannot end a request on a connection that an earlier one has used, and then never exits.
    keepAlive: !("deno" in process.versions),
    maxSockets: limits.maxConnections,
    maxFreeSockets: 64,
    noDelay: true,
    lookup,
  };
  if (!isSecure) return new Agent(options);
  // A resumed session is not verified again, and its certificate may have expired.
  const agent = new SecureAgent({ ...options, ...secure.options, maxCachedSessions: 0 });
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...given) => {
    const socket = connect(...given);
    onServerExpiry(socket as TLSSocket, secure.tls, (reason) => socket?.destroy(reason));
    return socket;
  };
  return agent;
}
