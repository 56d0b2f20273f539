import {
  httpBroker,
  MemoryBrokerNetwork,
  MemoryRegistryNetwork,
  memoryBroker,
  memoryRegistry,
  type Registry,
  silentLogger,
} from "@micro-es/runtime";
import { describe, test } from "vitest";
import { type BrokerFleet, brokerContract, type CreateBrokers } from "./broker.ts";

const logger = silentLogger;

const implementations: Readonly<Record<string, CreateBrokers>> = {
  "memory, dropping": async (count) => memoryFleet(count, "drop"),
  "memory, blocking": async (count) => memoryFleet(count, "block"),
  "http, native": async (count) => httpFleet(count, true),
  "http, by requests": async (count) => httpFleet(count, false),
};

function httpFleet(count: number, native: boolean): BrokerFleet {
  const network = new MemoryRegistryNetwork();
  const registries: Registry[] = [];
  const join = (options: { readonly closeGraceMs?: number } = {}) => {
    const registry = memoryRegistry({ network });
    registries.push(registry);
    return httpBroker({ registry, logger, native, ...options });
  };
  return {
    brokers: Array.from({ length: count }, () => join()),
    join,
    // A memory registry notifies its watches within the same turn of the event loop.
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    async close() {
      await Promise.all(registries.map((registry) => registry.close()));
    },
  };
}

function memoryFleet(count: number, overflow: "drop" | "block"): BrokerFleet {
  const network = new MemoryBrokerNetwork();
  const join = (options: { readonly closeGraceMs?: number } = {}) =>
    memoryBroker({ network, overflow, logger, ...options });
  return { brokers: Array.from({ length: count }, () => join()), join };
}

for (const [name, create] of Object.entries(implementations)) {
  describe(`the ${name} broker`, () => {
    for (const { name, run } of brokerContract(create)) test(name, run);
  });
}
