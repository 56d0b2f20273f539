import { Agent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import type { MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";
import type { HttpLink, HttpLinkOwner, RequestWatch } from "./http-link.ts";

/** Requests by HTTP/1.1: each has a connection for itself, and connections are used again. */
export class Http1Link implements HttpLink {
  readonly #agent: Agent;
  readonly #owner: HttpLinkOwner;

  constructor(url: URL, limits: TransportLimits, secure: object, owner: HttpLinkOwner) {
    const options = { keepAlive: true, maxSockets: limits.maxConnections, maxFreeSockets: 64 };
    this.#agent =
      url.protocol === "https:" ? new SecureAgent({ ...options, ...secure }) : new Agent(options);
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
      const response = await send(request);
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
