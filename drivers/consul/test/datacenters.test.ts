import { ConsulLink, consulRegistry, consulSource, consulSync } from "@micro-es/consul";
import { loadConfig, type Node, read } from "@micro-es/runtime";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { type ConsulServer, skipWithoutConsul, startDatacenters } from "./server.ts";

const nodeOf = (id: string, service: string): Node => {
  return { id, service, version: "1", address: "10.0.0.1:9", metadata: {}, endpoints: [] };
};

describe.skipIf(skipWithoutConsul)("two datacenters that are joined", () => {
  let servers: readonly [ConsulServer, ConsulServer];
  beforeAll(async () => {
    servers = await startDatacenters();
    const admin = new ConsulAdmin(servers[0].url);
    // A server finds the other one's datacenter, and later the way to it.
    await vi.waitFor(() => admin.read("catalog/services?dc=dc2"), { timeout: 50_000 });
  }, 60_000);
  afterAll(async () => {
    for (const server of servers ?? []) await server.close();
  });

  /** Connects to the agent of the first one, for its own or another datacenter. */
  const link = (datacenter?: string, address = servers[0].url) => {
    const made = new ConsulLink({ address, ...(datacenter === undefined ? {} : { datacenter }) });
    onTestFinished(() => made.close());
    return made;
  };
  const connect = (at: ConsulLink) => {
    const registry = consulRegistry({ link: at });
    onTestFinished(() => registry.close());
    return registry;
  };

  test("a registry finds and follows the services of the one that it names, and no others", async () => {
    const here = connect(link());
    const across = connect(link("dc2"));
    const there = connect(link(undefined, servers[1].url));
    const ids = async () => (await across.get("shop")).map(({ id }) => id);
    expect(await ids()).toEqual([]);
    const registration = await there.register(nodeOf("there-1", "shop"));
    await expect.poll(ids, { timeout: 10_000 }).toEqual(["there-1"]);
    expect(await across.list()).toContain("shop");
    expect(await here.get("shop")).toEqual([]);
    await registration.close();
    await expect.poll(ids, { timeout: 10_000 }).toEqual([]);
  });

  test("a node is registered in that of its agent, whichever is read", async () => {
    const here = connect(link());
    const across = connect(link("dc2"));
    const registration = await across.register(nodeOf("here-1", "desk"));
    expect(registration.active).toBe(true);
    expect((await here.get("desk")).map(({ id }) => id)).toEqual(["here-1"]);
    expect(await across.get("desk")).toEqual([]);
  });

  test("configuration and locks are those of the one that they name", async () => {
    await new ConsulAdmin(servers[1].url).put("kv/micro/config/pool", "10");
    const across = link("dc2");
    const config = await loadConfig([consulSource({ link: across })]);
    onTestFinished(() => config.close());
    expect(config.get("pool", read.integer)).toBe(10);
    await using sync = consulSync({ link: across });
    await using there = consulSync({ address: servers[1].url });
    await using here = consulSync({ link: link() });
    const lock = await sync.lock("report");
    const refused = await errorOf(there.lock("report", { waitMs: 0 }));
    expect(refused).toMatchObject({ code: "deadline_exceeded" });
    await (await here.lock("report", { waitMs: 0 })).unlock();
    expect(await lock.unlock()).toBe(true);
  });

  test("one that does not exist is an error", async () => {
    const failure = await errorOf(connect(link("dc9")).get("shop"));
    expect(failure).toMatchObject({ code: "unavailable" });
    expect(failure.message).toMatch(/dc9|datacenter/i);
  });
});
