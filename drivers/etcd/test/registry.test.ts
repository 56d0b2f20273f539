import { registryContract } from "@micro-es/contract/registry";
import { etcdRegistry } from "@micro-es/etcd";
import { startProgram } from "@micro-es/test-support/argument-program";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;

describe.skipIf(skipWithoutEtcd)("a registry in etcd", () => {
  let server: EtcdServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server?.close());

  const contract = registryContract(async () => {
    const options = { endpoints: server.url, prefix: `/fleet-${fleets++}` };
    return {
      connect: () => etcdRegistry(options),
      spawn: (node, ttlMs) => startProgram(nodeFile, { options, nodes: [node], ttlMs }),
    };
  });
  for (const { name, run } of contract) test(name, run);
});
