import { dnsRegistry } from "@micro-es/dns";
import type { Registry } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type NsdServer, skipWithoutNsd, startNsd, zone } from "./server.ts";

/** SRV records of a service, and the addresses of their targets. */
function nodes(service: string, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    return `_${service}._tcp IN SRV 10 5 ${8_000 + n} n${n}\nn${n} IN A 10.0.${n >> 8}.${n & 255}`;
  });
}

describe.skipIf(skipWithoutNsd)("services in a zone of NSD", () => {
  let server: NsdServer;
  beforeAll(async () => {
    server = await startNsd();
  });
  afterAll(() => server?.close());

  const open = (options: { readonly tcp?: boolean } = {}): Registry => {
    const registry = dnsRegistry({ domain: zone, servers: [server.address], ...options });
    onTestFinished(() => registry.close());
    return registry;
  };
  const count = async (registry: Registry) => (await registry.get("echo")).length;

  test("change with the zone", async () => {
    await server.write(nodes("echo", 2));
    const registry = open();
    await expect.poll(() => count(registry)).toBe(2);
    for (const expected of [3, 1, 5]) {
      await server.write(nodes("echo", expected));
      await expect.poll(() => count(registry)).toBe(expected);
    }
    expect((await registry.get("echo"))[0]).toMatchObject({
      id: `n0.${zone}:8000`,
      address: "10.0.0.0:8000",
    });
  });

  test("are all found where a response by UDP has no room for them", async () => {
    await server.write(nodes("echo", 300));
    for (const options of [{}, { tcp: true }]) {
      const registry = open(options);
      await expect.poll(() => count(registry)).toBe(300);
    }
  });

  test("are gone at the second lookup, and come back", async () => {
    await server.write(nodes("echo", 2));
    const registry = open();
    await expect.poll(() => count(registry)).toBe(2);
    await server.write([]);
    await expect.poll(() => count(registry)).toBe(0);
    expect(registry.state).toBe("healthy");
    await server.write(nodes("echo", 2));
    await expect.poll(() => count(registry)).toBe(2);
  });

  test("stay while the server is away or does not respond", async () => {
    await server.write(nodes("echo", 2));
    const registry = open();
    await expect.poll(() => count(registry)).toBe(2);
    server.signal("SIGSTOP");
    try {
      await expect.poll(() => registry.state).toBe("degraded");
      await expect.poll(() => count(registry)).toBe(2);
    } finally {
      server.signal("SIGCONT");
    }
    await expect.poll(() => registry.state).toBe("healthy");
    await server.stop();
    await expect.poll(() => registry.state).toBe("degraded");
    await expect.poll(() => count(registry)).toBe(2);
    await server.start();
    await expect.poll(() => registry.state).toBe("healthy");
    await expect.poll(() => count(registry)).toBe(2);
  });
});
