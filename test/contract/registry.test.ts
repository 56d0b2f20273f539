import {
  cachedRegistry,
  gossipRegistry,
  type MdnsRegistryOptions,
  MemoryRegistryNetwork,
  mdnsRegistry,
  memoryRegistry,
  mergeRegistries,
} from "@micro-es/runtime";
import { describe, test } from "vitest";
import { startRegistryProcess } from "../support/registry-process.ts";
import { type RegistryBackend, registryContract } from "./registry.ts";

/** No traffic leaves the machine, and every test process has a port of its own. */
const link: MdnsRegistryOptions = {
  interface: "127.0.0.1",
  group: "239.77.105.99",
  port: 20_000 + (process.pid % 20_000),
  timeoutMs: 250,
};

const create: Record<string, () => Promise<RegistryBackend>> = {
  async memory() {
    const network = new MemoryRegistryNetwork();
    return { connect: () => memoryRegistry({ network }) };
  },
  async "cache over memory"() {
    const network = new MemoryRegistryNetwork();
    return { connect: () => cachedRegistry(memoryRegistry({ network })) };
  },
  async "merged, of two in memory"() {
    const networks = [new MemoryRegistryNetwork(), new MemoryRegistryNetwork()];
    return {
      connect: () => mergeRegistries(networks.map((network) => memoryRegistry({ network }))),
    };
  },
  async "merged, of mdns and memory"() {
    const network = new MemoryRegistryNetwork();
    return { connect: () => mergeRegistries([mdnsRegistry(link), memoryRegistry({ network })]) };
  },
  async mdns() {
    return {
      connect: () => mdnsRegistry(link),
      spawn: (node, ttlMs) => startRegistryProcess(node, ttlMs, { mdns: link }),
    };
  },
  async gossip() {
    // A member that the others have as their seed.
    const loopback = { bind: "127.0.0.1:0", periodMs: 300 };
    const anchor = gossipRegistry({ ...loopback, seeds: ["127.0.0.1:1"], joinTimeoutMs: 0 });
    await anchor.list();
    const options = { ...loopback, seeds: [anchor.address ?? ""] };
    return {
      connect: () => gossipRegistry(options),
      spawn: (node, ttlMs) => startRegistryProcess(node, ttlMs, { gossip: options }),
      close: () => anchor.close(),
    };
  },
};

describe.each(Object.entries(create))("registry %s", (_name, backend) => {
  for (const { name, run } of registryContract(backend)) test(name, run);
});
