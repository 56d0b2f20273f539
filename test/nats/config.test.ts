import { natsSource } from "@micro-es/runtime/config/nats";
import { connect, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configSourceContract } from "../contract/config.ts";
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

  test("reads keys as paths, and JSON as what it says", async () => {
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
});
