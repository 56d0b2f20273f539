import { type DnsRegistryOptions, dnsRegistry } from "@micro-es/dns";
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

  const open = (options: Partial<DnsRegistryOptions> = {}): Registry => {
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

  test("are found in the records of a headless service of Kubernetes", async () => {
    const domain = `prod.svc.${zone}`;
    // As its specification of DNS-based service discovery has them, for each pod that is ready.
    const recordsOf = (...pods: readonly string[]) =>
      pods.flatMap((pod) => {
        const target = `${pod.replaceAll(".", "-")}.echo.prod.svc`;
        return [
          `echo.prod.svc IN A ${pod}`,
          `${target} IN A ${pod}`,
          `_rpc._tcp.echo.prod.svc IN SRV 0 ${Math.floor(100 / pods.length)} 8080 ${target}`,
        ];
      });
    await server.write(recordsOf("10.1.0.5", "10.1.0.6"));
    const ways: readonly Partial<DnsRegistryOptions>[] = [
      { domain, port: 8080 },
      { domain, name: "_rpc._tcp.{service}.{domain}" },
    ];
    const registries = ways.map((way) => open(way));
    const addresses = () =>
      Promise.all(
        registries.map(async (registry) =>
          (await registry.get("echo")).map(({ address }) => address).sort(),
        ),
      );
    const both = (...expected: readonly string[]) => [expected, expected];
    await expect.poll(addresses).toEqual(both("10.1.0.5:8080", "10.1.0.6:8080"));
    // A pod becomes unready, and another one takes its place.
    await server.write(recordsOf("10.1.0.6"));
    await expect.poll(addresses).toEqual(both("10.1.0.6:8080"));
    await server.write(recordsOf("10.1.0.6", "10.1.0.7"));
    await expect.poll(addresses).toEqual(both("10.1.0.6:8080", "10.1.0.7:8080"));
    // A service without a ready pod has no records at all.
    await server.write([]);
    await expect.poll(addresses).toEqual(both());
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
