import { consulRegistry, consulSync } from "@micro-es/consul";
import { configSourceContract } from "@micro-es/contract/config";
import { registryContract } from "@micro-es/contract/registry";
import { syncContract } from "@micro-es/contract/sync";
import { startProgram } from "@micro-es/test-support/argument-program";
import { afterAll, beforeAll, describe, test, vi } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { keysFixture } from "./config-keys.ts";
import { type ConsulCluster, leaderOf, skipWithoutConsul, startCluster } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;

describe.skipIf(skipWithoutConsul)("three servers of which the leader has died", () => {
  let cluster: ConsulCluster;
  let names = 0;
  const address = () => cluster.agent.url;
  const nextPrefix = () => `cluster/${names++}`;
  beforeAll(async () => {
    cluster = await startCluster();
    const patience = { timeout: 40_000, interval: 50 };
    await (await leaderOf(cluster.servers))?.stop();
    await vi.waitUntil(() => leaderOf(cluster.servers), patience);
    // The agent has found that leader when it takes a write.
    const admin = new ConsulAdmin(address());
    await vi.waitFor(() => admin.put("kv/ready", "x"), patience);
  }, 120_000);
  afterAll(() => cluster?.close());

  describe("registry", () => {
    const contract = registryContract(async () => {
      const options = { address: address() };
      return {
        connect: () => consulRegistry(options),
        spawn: (node, ttlMs) => startProgram(nodeFile, { options, nodes: [node], ttlMs }),
      };
    });
    for (const { name, run } of contract) test(name, run);
  });
  describe("sync", () => {
    const make = async () => {
      const options = { address: address(), prefix: nextPrefix() };
      return { connect: () => consulSync(options) };
    };
    for (const { name, run } of syncContract(make)) test(name, run);
  });
  describe("config source", () => {
    const make = () =>
      keysFixture({ address: address() }, nextPrefix(), new ConsulAdmin(address()));
    for (const { name, run } of configSourceContract(make)) test(name, run);
  });
});
