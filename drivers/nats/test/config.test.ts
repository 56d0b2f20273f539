import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configSourceContract } from "@micro-es/contract/config";
import { natsSource } from "@micro-es/nats";
import { loadConfig, read, silentLogger } from "@micro-es/runtime";
import { AckPolicy, connect, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
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
    const directory = mkdtempSync(join(tmpdir(), "micro-nats-config-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const write = async (value: string) => {
      const connection = await connect({ servers: away.url });
      const kv = await connection.jetstream().views.kv("micro-config");
      await kv.put("database.host", value);
      await connection.close();
    };
    await write("first");
    const start = () =>
      loadConfig([natsSource({ servers: away.url, timeoutMs: 2_000 })], {
        logger: silentLogger,
        lastKnownGood: join(directory, "last-known-good.json"),
      });
    const before = await start();
    expect(before.guarantees).toMatchObject({ reach: "backend", lastKnownGood: "restart" });
    await away.stop();
    await expect.poll(() => before.state).toBe("degraded");
    expect(before.snapshot.stale).toEqual(["nats:micro-config"]);
    expect(before.get("database.host", read.text)).toBe("first");
    await before.close();
    await using after = await start();
    expect(after.snapshot.stale).toEqual(["nats:micro-config"]);
    expect(after.get("database.host", read.text)).toBe("first");
    await away.start();
    await write("second");
    await expect
      .poll(() => after.get("database.host", read.text), { timeout: 20_000 })
      .toBe("second");
    expect(after.snapshot.stale).toEqual([]);
    expect(after.state).toBe("healthy");
    await after.close();
  });
});
