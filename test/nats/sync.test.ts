import { natsSync } from "@micro-es/runtime/sync/nats";
import { afterAll, beforeAll, describe, test } from "vitest";
import { syncContract } from "../contract/sync.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("sync in a NATS bucket", () => {
  let server: NatsServer;
  let buckets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const create = async () => {
    const bucket = `sync-${buckets++}`;
    return { connect: () => natsSync({ servers: server.url, bucket }) };
  };
  for (const { name, run } of syncContract(create)) test(name, run);
});
