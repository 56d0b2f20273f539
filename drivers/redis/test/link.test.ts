import { RedisLink, redisStore, redisSync } from "@micro-es/redis";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { describe, expect, onTestFinished, test } from "vitest";
import { command } from "./admin.ts";
import { skipWithoutRedis, startRedis } from "./server.ts";

const utf8 = new TextEncoder();

describe.skipIf(skipWithoutRedis)("the connection to Redis", () => {
  test("waits at first for a server that is not up yet, and not for one that refuses it", async () => {
    await using server = await startRedis();
    await server.stop();
    const store = redisStore({ servers: server.address });
    onTestFinished(() => store.close());
    const written = store.write("key", utf8.encode("v"));
    await expect.poll(() => store.state).toBe("lost");
    await server.start();
    await written;
    expect(store.state).toBe("healthy");
    await using wrong = redisStore({ servers: server.address, user: "ada", password: "no" });
    await expect(wrong.read("key")).rejects.toMatchObject({
      code: "unauthenticated",
      outcome: "not-executed",
    });
  });

  test("gives up after the time for the start, and connects at a later use", async () => {
    await using server = await startRedis();
    await server.stop();
    await using store = redisStore({ servers: server.address, startTimeoutMs: 50 });
    const refused = { code: "unavailable", outcome: "not-executed" };
    await expect(store.read("key")).rejects.toMatchObject(refused);
    await expect(store.read("key")).rejects.toMatchObject(refused);
    await server.start();
    expect(await store.read("key")).toBeUndefined();
    expect(store.state).toBe("healthy");
  });

  test("notices a server that does not respond, and uses it again when it does", async () => {
    await using server = await startRedis();
    await using store = redisStore({ servers: server.address, timeoutMs: 300 });
    await store.write("key", utf8.encode("v"));
    server.signal("SIGSTOP");
    await expect(store.read("key")).rejects.toMatchObject({ code: "unavailable" });
    expect(store.state).toBe("lost");
    server.signal("SIGCONT");
    await expect.poll(() => store.state).toBe("healthy");
    expect((await store.read("key"))?.value).toEqual(utf8.encode("v"));
  });

  test("notices a silent connection that is idle", async () => {
    await using server = await startRedis();
    await using proxy = await FaultProxy.start(server.port);
    await using store = redisStore({ servers: `127.0.0.1:${proxy.port}`, timeoutMs: 300 });
    await store.write("key", utf8.encode("v"));
    proxy.swallow(true);
    await expect.poll(() => store.state).toBe("lost");
    proxy.swallow(false);
    proxy.cut();
    await expect.poll(() => store.state).toBe("healthy");
  });

  test("refuses a server that evicts keys", async () => {
    await using server = await startRedis({
      flags: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"],
    });
    await using store = redisStore({ servers: server.address });
    await expect(store.read("key")).rejects.toThrow(/removes keys when its memory is full/);
  });

  test("refuses one that guarantees less than it is asked for", async () => {
    await using server = await startRedis({ flags: ["--appendonly", "no"] });
    for (const durability of ["process-crash", "power-loss"] as const) {
      await using sync = redisSync({ servers: server.address, durability });
      await expect(sync.lock("orders")).rejects.toMatchObject({ code: "failed_precondition" });
    }
  });

  test("uses the primary of several servers, and the promoted replica after it", async () => {
    await using primary = await startRedis();
    await using replica = await startRedis({
      flags: ["--replicaof", "127.0.0.1", `${primary.port}`],
    });
    await using link = new RedisLink({ servers: [replica.address, primary.address] });
    await using sync = redisSync({ link });
    await using store = redisStore({ link });
    const lock = await sync.lock("orders", { ttlMs: 600_000 });
    await store.write("key", utf8.encode("v"));
    const onReplica = { servers: replica.address };
    const records = () => command(onReplica, "EXISTS", "micro:{store}:record:key");
    await expect.poll(records).toBe("1");
    await primary.stop();
    await expect.poll(() => store.state).toBe("lost");
    await command(onReplica, "REPLICAOF", "NO", "ONE");
    await expect.poll(() => store.state).toBe("healthy");
    const version = await store.write("key", utf8.encode("w"));
    expect(version).toBeGreaterThan(0n);
    expect(await lock.unlock()).toBe(true);
    expect((await sync.lock("orders")).token).toBeGreaterThan(lock.token);
  });

  test("closes while it connects, and ends what waits", async () => {
    await using server = await startRedis();
    await server.stop();
    const link = new RedisLink({ servers: server.address });
    const opening = link.open();
    const failed = expect(opening).rejects.toMatchObject({ code: "unavailable" });
    await link.close();
    await failed;
    await expect(link.open()).rejects.toThrow(/the connection is closed/);
  });
});
