import { natsStore } from "@micro-es/runtime/store/nats";
import { afterAll, beforeAll, describe, test } from "vitest";
import { storeContract } from "../contract/store.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("store in a NATS bucket", () => {
  let server: NatsServer;
  let buckets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const create = async () => natsStore({ servers: server.url, bucket: `store-${buckets++}` });
  for (const { name, run } of storeContract(create)) test(name, run);
});
