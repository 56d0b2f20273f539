import {
  type Client,
  createSelector,
  MemoryRegistryNetwork,
  memoryRegistry,
  type Node,
  type Registry,
  type Selector,
  strategies,
} from "@micro-es/runtime";
import type { Registration } from "@micro-es/runtime/driver";
import type { ClientParts } from "../../runtime/src/client/client-parts.ts";
import { buildClient } from "../../runtime/src/client/rpc-client.ts";
import { ScriptedTransport } from "./scripted-transport.ts";

/** A client of scripted nodes, which take turns. */
export interface ScriptedClient {
  readonly client: Client;
  readonly transport: ScriptedTransport;
  readonly registry: Registry;
  readonly selector: Selector;
  /** Registers `echo` at `memory:<id>`. */
  register(id: string, more?: Partial<Node>): Promise<Registration>;
  close(): Promise<void>;
}

/** A client over a scripted transport, with these nodes of `echo`. */
export async function scriptedClient(
  nodes: readonly string[],
  parts: Partial<ClientParts> = {},
): Promise<ScriptedClient> {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const selector = createSelector({
    registry,
    strategy: strategies["round-robin"],
    discoveryTimeoutMs: 50,
  });
  const transport = new ScriptedTransport();
  const client = buildClient({ selector, transports: [transport], random: () => 0, ...parts });
  const register = (id: string, more: Partial<Node> = {}) =>
    registry.register({
      id,
      service: "echo",
      version: "1",
      address: `memory:${id}`,
      metadata: { protocol: "scripted" },
      endpoints: [],
      ...more,
    });
  for (const id of nodes) await register(id);
  return {
    client,
    transport,
    registry,
    selector,
    register,
    async close() {
      await client.close();
      await selector.close();
      await registry.close();
    },
  };
}
