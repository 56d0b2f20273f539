import { setImmediate } from "node:timers/promises";
import { syncContract } from "@micro-es/contract/sync";
import { natsSync } from "@micro-es/nats";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

  test("renews after a connection was lost during a renewal, without waiting for its response", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const servers = `nats://127.0.0.1:${proxy.port}`;
    // Longer than this test may take.
    await using sync = natsSync({ servers, bucket: `sync-${buckets++}`, timeoutMs: 600_000 });
    const lock = await sync.lock("orders", { ttlMs: 600_000, renewal: "manual" });
    proxy.swallow(true);
    const renewal = lock.renew();
    await setImmediate();
    proxy.swallow(false);
    proxy.cut();
    await expect(renewal).rejects.toMatchObject({ code: "unavailable", outcome: "unknown" });
    await expect.poll(() => sync.state).toBe("healthy");
    await lock.renew();
    expect(lock.held).toBe(true);
    expect(await lock.unlock()).toBe(true);
  });
});
