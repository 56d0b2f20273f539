import {
  type Client,
  createClient,
  httpTransport,
  MemoryRegistryNetwork,
  MicroError,
  memoryRegistry,
  type Registry,
  type TcpTransportOptions,
  tcpTransport,
} from "@micro-es/runtime";
import type { Published } from "../check-delivery.ts";

/** The two protocols that our client speaks to our servers over TCP. */
export const protocols = ["native", "grpc"] as const;
export type Protocol = (typeof protocols)[number];

/** A client of servers at fixed addresses, which it sees as nodes of `echo`. */
export async function clientOf(
  addresses: readonly string[],
  protocol: Protocol,
  limits: TcpTransportOptions = {},
): Promise<AsyncDisposable & { readonly client: Client }> {
  const registry: Registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  for (const address of addresses) {
    const metadata = { protocol };
    const node = { id: address, service: "echo", version: "1", address, metadata, endpoints: [] };
    await registry.register(node);
  }
  const transports = [tcpTransport(limits), httpTransport(limits)];
  const client = createClient({ registry, transports, environment: {} });
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await registry.close();
    },
  };
}

/** The results that callers received for their calls, by id. */
export class CallLedger implements Published {
  readonly acked = new Set<string>();
  readonly unsure = new Set<string>();
  readonly refused = new Set<string>();
  /** Failures that are not MicroErrors, or claim to come from a handler. */
  readonly strange = new Set<string>();

  async note(id: string, call: Promise<unknown>): Promise<void> {
    try {
      await call;
      this.acked.add(id);
    } catch (error) {
      const outcome = error instanceof MicroError ? error.outcome : "executed";
      if (outcome === "unknown") this.unsure.add(id);
      else if (outcome === "not-executed") this.refused.add(id);
      else this.strange.add(`${id}: ${String(error)}`);
    }
  }
}
