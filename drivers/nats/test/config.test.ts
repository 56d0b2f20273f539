import { configSourceContract } from "@micro-es/contract/config";
import { natsSource } from "@micro-es/nats";
import { staysInForce } from "@micro-es/test-support/config-outage";
import { AckPolicy, connect, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucketFixture } from "./config-bucket.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("config source in a NATS bucket", () => {
  let server: NatsServer;
  let tools: NatsConnection;
  let buckets = 0;
  beforeAll(async () => {
    server = await startNats();
    tools = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await tools?.close();
    await server?.close();
  });

  const fixture = () => bucketFixture({ servers: server.url }, `config-${buckets++}`, tools);
  for (const { name, run } of configSourceContract(fixture)) test(name, run);

  test("reports a change between the load and the first snapshot of the watch", async () => {
    const bucket = `config-${buckets++}`;
    const manager = await tools.jetstreamManager();
    // The watch has to wait for its consumer as long as others take the place.
    await manager.streams.add({
      name: `KV_${bucket}`,
      subjects: [`$KV.${bucket}.>`],
      max_msgs_per_subject: 1,
      max_consumers: 2,
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: true,
    });
    const kv = await tools.jetstream().views.kv(bucket);
    await kv.put("a", "old");
    const taken = ["one", "two"];
    for (const name of taken) {
      await manager.consumers.add(`KV_${bucket}`, {
        durable_name: name,
        ack_policy: AckPolicy.None,
      });
    }
    await using source = natsSource({ servers: server.url, bucket });
    const failed = new Promise<void>((resolve) => {
      source.onStateChange?.((state) => state !== "healthy" && resolve());
    });
    const changes = source.watch!()[Symbol.asyncIterator]();
    await failed;
    for (const name of taken) await manager.consumers.delete(`KV_${bucket}`, name);
    expect(await source.load()).toEqual({ a: "old" });
    await kv.put("a", "new");
    expect((await changes.next()).value).toEqual({ a: "new" });
  });

  test("reads keys as paths, and values as JSON", async () => {
    const bucket = `config-${buckets++}`;
    const kv = await tools.jetstream().views.kv(bucket);
    await kv.put("database.host", "db.example");
    await kv.put("database.pool", "10");
    await kv.put("features", '{"beta":true}');
    await kv.put("gone", "1");
    await kv.delete("gone");
    await using source = natsSource({ servers: server.url, bucket });
    expect(await source.load()).toEqual({
      database: { host: "db.example", pool: 10 },
      features: { beta: true },
    });
    await kv.put("database.host.port", "1");
    await expect(source.load()).rejects.toMatchObject({ code: "invalid_argument" });
    expect(source.state).toBe("degraded");
  });

  test("stays in force while its server is down, even after a restart, and resumes when it is back", async () => {
    await using away = await startNats();
    await staysInForce({
      server: away,
      source: () => natsSource({ servers: away.url, timeoutMs: 2_000 }),
      write: async (value) => {
        const connection = await connect({ servers: away.url });
        const kv = await connection.jetstream().views.kv("micro-config");
        await kv.put("database.host", value);
        await connection.close();
      },
      name: "nats:micro-config",
      guarantees: { reach: "backend", lastKnownGood: "restart" },
    });
  });
});
