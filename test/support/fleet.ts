import {
  type Client,
  createSelector,
  MemoryNetwork,
  MemoryRegistryNetwork,
  memoryRegistry,
  memoryTransport,
  type Registry,
  type Selector,
  type Server,
  type Transport,
} from "@micro-es/runtime";
import type { ClientParts } from "../../runtime/src/client/client-parts.ts";
import { buildClient } from "../../runtime/src/client/rpc-client.ts";
import { buildServer } from "../../runtime/src/server/rpc-server.ts";
import type { ServerParts } from "../../runtime/src/server/server-parts.ts";
import { type EchoHandler, echoHandler } from "./echo.ts";
import { registerEcho } from "./server.ts";

/** Servers and clients that find each other. */
export class Fleet implements AsyncDisposable {
  readonly transport: Transport;
  readonly #listen: string;
  readonly #network = new MemoryRegistryNetwork();
  readonly #open: { close(): Promise<void> }[] = [];

  /** @param listen where servers listen, such as `127.0.0.1:0`. */
  constructor(
    transport: Transport = memoryTransport({ network: new MemoryNetwork() }),
    listen = "memory:0",
  ) {
    this.transport = transport;
    this.#listen = listen;
  }

  registry(): Registry {
    const registry = memoryRegistry({ network: this.#network });
    this.#open.push(registry);
    return registry;
  }

  /** Starts a server with an echo handler. */
  async server(
    name = "echo",
    handler: Partial<EchoHandler> = {},
    parts: Partial<ServerParts> = {},
  ): Promise<Server> {
    const server = buildServer({
      name,
      listen: [{ transport: this.transport, address: this.#listen }],
      registry: this.registry(),
      drainDelayMs: 0,
      ...parts,
    });
    registerEcho(server, { ...echoHandler(parts.id ?? name), ...handler });
    await server.start();
    this.#open.push(server);
    return server;
  }

  client(parts: Partial<ClientParts> = {}): Client {
    const selector: Selector = createSelector({ registry: this.registry() });
    const client = buildClient({ selector, transports: [this.transport], ...parts });
    this.#open.push(selector, client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#open.splice(0).reverse()) await part.close();
  }
}
