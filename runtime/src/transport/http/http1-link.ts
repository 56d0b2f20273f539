import { Agent, type AgentOptions } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { TLSSocket } from "node:tls";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { lookupDialable } from "../../base/dialable-address.ts";
import { MicroError, messageOf } from "../../base/error.ts";
import { type ClientTlsOptions, onServerExpiry } from "../tls.ts";
import type { TransportLimits } from "../transport.ts";
import type { HttpLink, HttpLinkOwner, RequestWatch } from "./link.ts";

/** Sends requests over HTTP/1.1: each has a connection for itself, and connections are reused. */
export class Http1Link implements HttpLink {
  readonly #agent: Agent;
  readonly #owner: HttpLinkOwner;

  constructor(url: URL, limits: TransportLimits, secure: SecureOptions, owner: HttpLinkOwner) {
    const options = {
      keepAlive: true,
      maxSockets: limits.maxConnections,
      maxFreeSockets: 64,
      lookup: lookupDialable,
    };
    this.#agent = url.protocol === "https:" ? secureAgent(options, secure) : new Agent(options);
    this.#owner = owner;
  }

  client(watch: RequestWatch): UniversalClientFn {
    const headers: Record<string, string[]> = {};
    for (const [name, values] of watch.repeated) headers[name] = [...values];
    const send = createNodeHttpClient({
      httpVersion: "1.1",
      nodeOptions: { agent: this.#agent, headers },
    });
    return async (request) => {
      watch.sent();
      for (const name of watch.repeated.keys()) request.header.delete(name);
      const response = await send(request).catch((reason: unknown) => {
        if (request.signal?.aborted !== true) this.#owner.failing(connectionFailed(reason));
        throw reason;
      });
      watch.header([...response.header]);
      return response;
    };
  }

  finish(reason: MicroError): void {
    this.destroy(reason);
  }

  destroy(reason: MicroError): void {
    this.#agent.destroy();
    this.#owner.linkClosed(reason);
  }
}

/** How HTTP/1.1 connections are secured. */
export interface SecureOptions {
  /** For `connect` of `node:tls`. */
  readonly options: object;
  readonly tls: ClientTlsOptions;
}

function secureAgent(options: AgentOptions, secure: SecureOptions): SecureAgent {
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

function connectionFailed(reason: unknown): MicroError {
  return new MicroError(
    "unavailable",
    `a connection ended without a response: ${messageOf(reason)}`,
    {
      cause: reason,
    },
  );
}
