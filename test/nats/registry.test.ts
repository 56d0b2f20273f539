import { natsRegistry } from "@micro-es/runtime/registry/nats";
import { afterAll, beforeAll, describe, test } from "vitest";
import { registryContract } from "../contract/registry.ts";
import { startProgram } from "./program.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("registry in a NATS bucket", () => {
  let server: NatsServer;
  let buckets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const create = async () => {
    const servers = server.url;
    const bucket = `registry-${buckets++}`;
    return {
      connect: () => natsRegistry({ servers, bucket }),
      spawn: (node: object, ttlMs: number) =>
        startProgram("registry-node.ts", { servers, bucket, node, ttlMs }),
    };
  };
  for (const { name, run } of registryContract(create)) test(name, run);
});
