import { dnsRegistry } from "@micro-es/dns";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConsulServer, skipWithoutConsul, startConsul } from "../../consul/test/server.ts";
import { freePort } from "./server.ts";

describe.skipIf(skipWithoutConsul)("services of Consul by its DNS", () => {
  let consul: ConsulServer;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    consul = await startConsul({ dnsPort: port });
    for (let n = 0; n < 40; n++) await register(n);
  });
  afterAll(() => consul?.close());

  async function send(path: string, body: object): Promise<void> {
    const response = await fetch(`${consul.url}/v1/agent/service/${path}`, {
      method: "PUT",
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
  }
  const register = (n: number) =>
    send("register", {
      Name: "echo",
      ID: `echo-${n}`,
      Address: `127.0.1.${n}`,
      Port: 8_000 + n,
      Meta: { zone: "a" },
    });

  test.each([{}, { tcp: true }])("are all found: 40 nodes, with %j", async (options) => {
    await using registry = dnsRegistry({
      domain: "service.consul",
      servers: [`127.0.0.1:${port}`],
      ...options,
    });
    const nodes = await registry.get("echo");
    const addresses = Array.from({ length: 40 }, (_, n) => `127.0.1.${n}:${8_000 + n}`);
    expect(nodes.map(({ address }) => address).sort()).toEqual(addresses.sort());
    expect(registry.state).toBe("healthy");
  });

  test("appear and disappear within seconds", async () => {
    await using registry = dnsRegistry({
      name: "{service}.service.consul",
      servers: [`127.0.0.1:${port}`],
    });
    expect(await registry.get("echo")).toHaveLength(40);
    await register(40);
    await expect.poll(async () => (await registry.get("echo")).length).toBe(41);
    await send("deregister/echo-40", {});
    await expect.poll(async () => (await registry.get("echo")).length).toBe(40);
  });
});
