import { storeContract } from "@micro-es/contract/store";
import { redisStore } from "@micro-es/redis";
import type { Store, StoreEvent } from "@micro-es/runtime";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { command } from "./admin.ts";
import { type RedisServer, skipWithoutRedis, startRedis } from "./server.ts";

const utf8 = new TextEncoder();

describe.skipIf(skipWithoutRedis)("store in Redis", () => {
  let server: RedisServer;
  let stores = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `s${stores++}`;
  const open = (prefix: string, servers = server.address): Store => {
    const store = redisStore({ servers, prefix });
    onTestFinished(() => store.close());
    return store;
  };
  // A busy machine may take longer than the default to respond.
  const create = async () =>
    redisStore({ servers: server.address, prefix: nextPrefix(), timeoutMs: 30_000 });
  for (const { name, run } of storeContract(create)) test(name, run);

  test("shows a value to redis-cli, and removes all that a record had with it", async () => {
    const prefix = nextPrefix();
    const store = open(prefix);
    const redis = (name: string, ...args: string[]) =>
      command({ servers: server.address }, name, ...args);
    await store.write("greeting", utf8.encode("hello"), { ttlMs: 60_000 });
    expect(await redis("HGET", `${prefix}:{store}:record:greeting`, "value")).toBe("hello");
    expect(await redis("ZCARD", `${prefix}:{store}:expiring`)).toBe("1");
    await store.delete("greeting");
    expect(await redis("KEYS", `${prefix}:*`)).toBe(`${prefix}:{store}:version`);
  });

  test("finds its scripts again after they were flushed", async () => {
    const store = open(nextPrefix());
    await store.write("key", utf8.encode("one"));
    await command({ servers: server.address }, "SCRIPT", "FLUSH");
    await store.write("key", utf8.encode("two"));
    expect((await store.read("key"))?.value).toEqual(utf8.encode("two"));
  });

  test("watches without a gap: after a cut connection by a snapshot", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const watching = open(prefix, `127.0.0.1:${proxy.port}`);
    const store = open(prefix);
    const folded = new Map<string, bigint>();
    let snapshots = 0;
    const fold = (event: StoreEvent): void => {
      if (event.type === "deleted") folded.delete(event.key);
      else if (event.type === "written") folded.set(event.record.key, event.record.version);
      else {
        snapshots++;
        folded.clear();
        for (const { key, version } of event.records) folded.set(key, version);
      }
    };
    const following = (async () => {
      for await (const event of watching.watch()) fold(event);
    })();
    await expect.poll(() => snapshots).toBe(1);
    const listed = async () => {
      const all = new Map<string, bigint>();
      for await (const { key, version } of store.list()) all.set(key, version);
      return all;
    };
    for (let turn = 0; turn < 4; turn++) {
      await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const key = `key-${(turn * 37 + index) % 300}`;
          if (index % 5 === 0) await store.delete(key);
          else await store.write(key, utf8.encode(`${turn}`));
          if (index === 100) proxy.cut();
        }),
      );
    }
    const expected = await listed();
    await expect.poll(() => folded).toEqual(expected);
    expect(snapshots).toBeGreaterThan(1);
    await watching.close();
    await following;
  });

  test("an unanswered write is unknown, and is neither repeated nor sent later", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const store = open(prefix, `127.0.0.1:${proxy.port}`);
    const other = open(prefix);
    const first = await store.write("key", utf8.encode("first"));
    proxy.swallowResponses(true);
    const lost = store.write("key", utf8.encode("second"));
    const failed = expect(lost).rejects.toMatchObject({ code: "unavailable", outcome: "unknown" });
    await expect.poll(async () => (await other.read("key"))?.version).not.toBe(first);
    proxy.cut();
    await failed;
    proxy.swallowResponses(false);
    const { version } = (await other.read("key")) ?? {};
    await expect.poll(() => store.state).toBe("healthy");
    expect((await store.read("key"))?.version).toBe(version);
  });

  test("a write without a connection is not executed, and is not sent later", async () => {
    await using own = await startRedis();
    const store = redisStore({ servers: own.address });
    onTestFinished(() => store.close());
    await store.write("key", utf8.encode("first"));
    await own.stop();
    await expect.poll(() => store.state).toBe("lost");
    await expect(store.write("key", utf8.encode("ghost"))).rejects.toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    await own.start();
    await expect.poll(() => store.state).toBe("healthy");
    expect((await store.read("key"))?.value).toEqual(utf8.encode("first"));
  });

  test("refuses a write to a server whose memory is full, and goes on when there is room", async () => {
    await using own = await startRedis();
    const store = redisStore({ servers: own.address });
    onTestFinished(() => store.close());
    await store.write("key", utf8.encode("v"));
    await command({ servers: own.address }, "CONFIG", "SET", "maxmemory", "1");
    await expect(store.write("key", utf8.encode("w"))).rejects.toMatchObject({
      code: "resource_exhausted",
      outcome: "not-executed",
    });
    expect((await store.read("key"))?.value).toEqual(utf8.encode("v"));
    await command({ servers: own.address }, "CONFIG", "SET", "maxmemory", "0");
    await store.write("key", utf8.encode("w"));
  });
});
