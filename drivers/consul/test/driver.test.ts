import { consul } from "@micro-es/consul";
import { createClient, createService, read, silentLogger } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { describe, expect, test } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { skipWithoutConsul, startConsul } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutConsul)("Consul, chosen by a URL", () => {
  test("is all parts of a service, with the keys below the path of the URL", async () => {
    await using server = await startConsul();
    const url = `consul://127.0.0.1:${server.port}/fleets/a?timeout=20s&prefix=shop`;
    const admin = new ConsulAdmin(server.url);
    await admin.put("kv/fleets/a/config/shop/port", "8080");
    const options = { drivers: [consul], logger };
    await using service = createService({
      ...options,
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
    expect([service.registry.name, service.sync.name]).toEqual(["consul", "consul"]);
    expect(service.config?.get("port", read.integer)).toBe(8080);
    const lock = await service.sync.lock("orders");
    expect(await admin.read("kv/fleets/a/sync?keys")).toHaveLength(1);
    await lock.unlock();
    const client = createClient({ ...options, environment: { MICRO_REGISTRY: url } });
    expect((await client.unary(echo.once, { text: "x" })).text).toBe("x");
    await client.close();
    const [node] = await service.registry.get("echo");
    expect(await admin.service(node?.id ?? "")).toMatchObject({ Service: "echo" });
    await service.close();
    expect(await admin.service(node?.id ?? "")).toBeUndefined();
  });
});

test.each([
  ["consul://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["consul://host?timeout=5", /timeout="5" is not allowed/],
  ["consul://host?ca=/ca.pem", /are for TLS; use consuls/],
  ["consuls://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["consul://ada:secret@host", /takes a token and no password/],
  ["consul://a,b", /one host|several hosts/],
])("refuses the URL %s", (MICRO_REGISTRY, message) => {
  const make = () => createClient({ drivers: [consul], environment: { MICRO_REGISTRY }, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_REGISTRY/);
  expect(make).not.toThrow(/secret/);
});
