import { etcd } from "@micro-es/etcd";
import { createClient, createService, silentLogger } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { describe, expect, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { skipWithoutEtcd, startEtcd } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutEtcd)("etcd, chosen by a URL", () => {
  test("is the registry of a service, with the prefix from the URL", async () => {
    await using server = await startEtcd();
    const MICRO_REGISTRY = `etcd://127.0.0.1:${server.port}/fleets/a?timeout=2s`;
    const options = { drivers: [etcd], logger };
    await using service = createService({
      ...options,
      name: "echo",
      environment: { MICRO_REGISTRY, MICRO_ADDRESS: "127.0.0.1:0", MICRO_BROKER: "memory:" },
    });
    service.server.unary(echo.once, ({ text }) => ({ text }));
    await service.start();
    expect(service.registry.name).toBe("etcd");
    const client = createClient({ ...options, environment: { MICRO_REGISTRY } });
    expect((await client.unary(echo.once, { text: "x" })).text).toBe("x");
    await client.close();
    const [node] = await service.registry.get("echo");
    const key = `/fleets/a/echo/${node?.id}`;
    expect(await new EtcdAdmin(server.url).get(key)).toBeDefined();
    await service.close();
    expect(await new EtcdAdmin(server.url).get(key)).toBeUndefined();
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
