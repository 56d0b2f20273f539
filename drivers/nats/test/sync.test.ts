import { syncContract } from "@micro-es/contract/sync";
import { natsSync } from "@micro-es/nats";
import { renewsAfterCut } from "@micro-es/test-support/lock-outage";
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
    expect(await renewsAfterCut(proxy, sync)).toMatchObject({
      status: "rejected",
      reason: { code: "unavailable", outcome: "unknown" },
    });
  });
});
