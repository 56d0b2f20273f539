import { storeContract } from "@micro-es/contract/store";
import { natsStore } from "@micro-es/nats";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { connect } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

  test("removes expired records from the bucket, including those affected by a lost connection", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const bucket = `store-${buckets++}`;
    await using store = natsStore({ servers: `nats://127.0.0.1:${proxy.port}`, bucket });
    const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
    const written = keys.map((key) => store.write(key, Buffer.from("v"), { ttlMs: 2_000 }));
    await Promise.all([...written, store.write("stays", Buffer.from("v"))]);
    const tools = await connect({ servers: server.url });
    const kv = await tools.jetstream().views.kv(bucket, { bindOnly: true });
    const kept = async () => {
      const found: string[] = [];
      for await (const key of await kv.keys()) found.push(key);
      return found;
    };
    // The requests are sent and nothing comes back, and then all callers that wait for a response
    // get the error.
    proxy.swallow(true);
    await expect.poll(() => proxy.swallowed, { timeout: 10_000 }).toBeGreaterThan(0);
    proxy.swallow(false);
    proxy.cut();
    await expect.poll(kept, { timeout: 10_000 }).toEqual(["stays"]);
    await tools.close();
  });
});
