import { etcd } from "@micro-es/etcd";
import { createClient, createService, read, silentLogger } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { describe, expect, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { skipWithoutEtcd, startEtcd } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutEtcd)("etcd, chosen by a URL", () => {
  test("is all parts of a service, with the fleet from the URL", async () => {
    await using server = await startEtcd();
    const url = `etcd://127.0.0.1:${server.port}/fleets/a?timeout=20s&prefix=shop`;
    const admin = new EtcdAdmin(server.url);
    await admin.put("/fleets/a/config/shop/port", "8080");
    const options = { drivers: [etcd], logger };
    await using service = createService({
      ...options,
      name: "echo",
      environment: { MICRO_BACKEND: url, MICRO_ADDRESS: "127.0.0.1:0", MICRO_BROKER: "memory:" },
    });
    service.server.unary(echo.once, ({ text }) => ({ text }));
    await service.start();
    const { registry, store, sync, config } = service;
    expect([registry.name, store.name, sync.name]).toEqual(["etcd", "etcd", "etcd"]);
    const client = createClient({ ...options, environment: { MICRO_REGISTRY: url } });
    expect((await client.unary(echo.once, { text: "x" })).text).toBe("x");
    await client.close();
    const [node] = await service.registry.get("echo");
    const key = `/fleets/a/registry/echo/${node?.id}`;
    expect(await admin.get(key)).toBeDefined();
    await store.write("greeting", new TextEncoder().encode("hello"));
    expect((await admin.get("/fleets/a/store/records/greeting"))?.value).toBe("hello");
    const lock = await sync.lock("orders");
    expect(await admin.get("/fleets/a/sync/lock/orders")).toBeDefined();
    expect(config?.get("port", read.integer)).toBe(8080);
    await lock.unlock();
    await service.close();
    expect(await admin.get(key)).toBeUndefined();
  });

  test.each([
    ["MICRO_STORE", "store"],
    ["MICRO_SYNC", "sync"],
  ] as const)("is the part of %s alone", async (variable, part) => {
    await using server = await startEtcd();
    await using service = createService({
      drivers: [etcd],
      logger,
      name: "alone",
      environment: {
        MICRO_REGISTRY: "memory:",
        MICRO_BROKER: "memory:",
        [variable]: `etcd://127.0.0.1:${server.port}`,
      },
    });
    expect(service[part].name).toBe("etcd");
    await service.store.write("key", new Uint8Array([1]));
    await (await service.sync.lock("orders")).unlock();
    expect((await service.store.read("key"))?.value).toEqual(new Uint8Array([1]));
  });
});

test.each([
  ["etcd://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["etcd://host?timeout=5", /timeout="5" is not allowed/],
  ["etcd://host?ca=/ca.pem", /are for TLS; use etcds/],
  ["etcds://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["etcd://ada@host", /user and password together/],
])("refuses the URL %s", (MICRO_REGISTRY, message) => {
  const make = () => createClient({ drivers: [etcd], environment: { MICRO_REGISTRY }, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_REGISTRY/);
});
