import { consulRegistry } from "@micro-es/consul";
import { registryContract } from "@micro-es/contract/registry";
import { startProgram } from "@micro-es/test-support/argument-program";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type ConsulServer, skipWithoutConsul, startConsul } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;

describe.skipIf(skipWithoutConsul)("a registry in Consul", () => {
  let server: ConsulServer;
  beforeAll(async () => {
    server = await startConsul();
  });
  afterAll(() => server?.close());

  const contract = registryContract(async () => {
    const options = { address: server.url };
    return {
      connect: () => consulRegistry(options),
      spawn: (node, ttlMs) => startProgram(nodeFile, { options, nodes: [node], ttlMs }),
    };
  });
  for (const { name, run } of contract) test(name, run);
});
