import { createClient, createService, read, silentLogger } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { zookeeper } from "@micro-es/zookeeper";
import { describe, expect, test } from "vitest";
import { ZooKeeperAdmin } from "./admin.ts";
import { skipWithoutZooKeeper, startZooKeeper } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutZooKeeper)("ZooKeeper, chosen by a URL", () => {
  test("is the parts of a service, with the znodes below the path of the URL", async () => {
    await using server = await startZooKeeper();
    await using admin = new ZooKeeperAdmin(server.address);
    const url = `zookeeper://${server.address},${server.address}/fleets/a?timeout=20s&sessionTimeout=5s&prefix=shop`;
    await admin.put("/fleets/a/config/shop/port", "8080");
    await using service = createService({
      drivers: [zookeeper],
      logger,
      name: "echo",
      environment: {
        MICRO_BACKEND: url,
        MICRO_STORE: "memory:",
        MICRO_ADDRESS: "127.0.0.1:0",
        MICRO_BROKER: "memory:",
      },
    });
    service.server.unary(echo.once, ({ text }) => ({ text }));
    await service.start();
    expect([service.registry.name, service.sync.name]).toEqual(["zookeeper", "zookeeper"]);
    expect(service.config?.get("port", read.integer)).toBe(8080);
    const lock = await service.sync.lock("orders");
    expect(await admin.children("/fleets/a/sync")).toHaveLength(1);
    await lock.unlock();
    const options = { drivers: [zookeeper], logger, environment: { MICRO_REGISTRY: url } };
    const client = createClient(options);
    expect((await client.unary(echo.once, { text: "x" })).text).toBe("x");
    await client.close();
    const [node] = await service.registry.get("echo");
    const path = `/fleets/a/registry/echo/${node?.id}`;
    expect(await admin.stat(path)).toBeDefined();
    await service.close();
    expect(await admin.stat(path)).toBeUndefined();
  });
});

test.each([
  ["zookeeper://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["zookeeper://host?timeout=5", /timeout="5" is not allowed/],
  ["zookeeper://host?ca=/ca.pem", /are for TLS; use zookeepers/],
  ["zookeepers://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["zookeeper://secret@host", /takes user and password together/],
])("refuses the URL %s", (MICRO_SYNC, message) => {
  const make = () =>
    createService({ name: "echo", drivers: [zookeeper], environment: { MICRO_SYNC }, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_SYNC/);
  expect(make).not.toThrow(/secret/);
});
