import { redis } from "@micro-es/redis";
import { createClient, createService, read, silentLogger } from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { command } from "./admin.ts";
import { skipWithoutRedis, startRedis } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutRedis)("Redis, chosen by a URL", () => {
  test("is store, locks and configuration of a service, with the fleet from the URL", async () => {
    await using server = await startRedis();
    const servers = server.address;
    const url = `redis://${servers}/3?fleet=shop&timeout=20s`;
    await command({ servers, database: 3 }, "HSET", "shop:config", "port", "8080");
    await using service = createService({
      drivers: [redis],
      logger,
      name: "alone",
      environment: {
        MICRO_ADDRESS: "127.0.0.1:0",
        MICRO_REGISTRY: "memory:",
        MICRO_BROKER: "memory:",
        MICRO_STORE: url,
        MICRO_SYNC: url,
        MICRO_CONFIG: url,
      },
    });
    await service.start();
    const { store, sync, config } = service;
    expect([store.name, sync.name]).toEqual(["redis", "redis"]);
    await store.write("greeting", new TextEncoder().encode("hello"));
    const value = await command(
      { servers, database: 3 },
      "HGET",
      "shop:{store}:record:greeting",
      "value",
    );
    expect(value).toBe("hello");
    const lock = await sync.lock("orders");
    expect(await command({ servers, database: 3 }, "HLEN", "shop:{sync}:leases")).toBe("1");
    expect(config?.get("port", read.integer)).toBe(8080);
    await lock.unlock();
  });

  test("publishes the durability that it was asked for, and refuses a server with less", async () => {
    await using server = await startRedis();
    const start = async () => {
      await using service = createService({
        drivers: [redis],
        logger,
        name: "durable",
        require: { store: { durability: "power-loss" } },
        environment: {
          MICRO_ADDRESS: "127.0.0.1:0",
          MICRO_REGISTRY: "memory:",
          MICRO_BROKER: "memory:",
          MICRO_STORE: `redis://${server.address}?durability=power-loss`,
        },
      });
      await service.start();
      return service.store.guarantees.durability;
    };
    expect(await start()).toBe("power-loss");
    await command({ servers: server.address }, "CONFIG", "SET", "appendfsync", "everysec");
    await expect(start()).rejects.toThrow(/has appendfsync everysec and 0 replicas, which is less/);
  });
});

test.each([
  ["redis://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["redis://host?timeout=5", /timeout="5" is not allowed/],
  ["redis://host?ackWait=5", /ackWait="5" is not allowed/],
  ["redis://host?durability=disk", /durability="disk" is not allowed/],
  ["redis://host?ca=/ca.pem", /are for TLS; use rediss/],
  ["rediss://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["redis://ada@host", /a user only with its password/],
  ["redis://host/shop", /not the number of a database/],
  ["redis://host?fleet=%7Bx%7D", /fleet must be/],
])("refuses the URL %s", (MICRO_BACKEND, message) => {
  const make = () => createClient({ drivers: [redis], environment: { MICRO_BACKEND }, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_BACKEND/);
});
