import { setTimeout as sleep } from "node:timers/promises";
import { deflateSync } from "node:zlib";
import { ConsulLink, consulRegistry } from "@micro-es/consul";
import type { Node, Registry, RegistryEvent } from "@micro-es/runtime";
import { maxNodesPerService } from "@micro-es/runtime/driver";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { errorOf, recordingLogger } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { type ConsulServer, skipWithoutConsul, startConsul, startServers } from "./server.ts";

describe.skipIf(skipWithoutConsul)("a registry whose Consul loses something", () => {
  let server: ConsulServer;
  let admin: ConsulAdmin;
  let services = 0;
  beforeAll(async () => {
    server = await startConsul();
    admin = new ConsulAdmin(server.url);
  });
  afterAll(() => server?.close());

  const connect = (options: Parameters<typeof consulRegistry>[0] = {}): Registry => {
    const registry = consulRegistry({ address: server.url, ...options });
    onTestFinished(() => registry.close());
    return registry;
  };
  const node = (part: Partial<Node> = {}): Node => {
    const service = part.service ?? `losses-${services++}`;
    const rest = { version: "1", address: "127.0.0.1:9", metadata: {}, endpoints: [] };
    return { id: `${service}-1`, service, ...rest, ...part };
  };
  const idsOf = async (registry: Registry, service: string) =>
    (await registry.get(service)).map(({ id }) => id);
  /** Collects the events of a watch until the test ends. */
  const record = (registry: Registry, service: string): RegistryEvent[] => {
    const events: RegistryEvent[] = [];
    const ending = new AbortController();
    const watching = (async () => {
      for await (const event of registry.watch(service, { signal: ending.signal })) {
        events.push(event);
      }
    })();
    onTestFinished(async () => {
      ending.abort();
      await watching;
    });
    return events;
  };
  /** What a watch lost, event by event. */
  const removals = (events: readonly RegistryEvent[]) =>
    events.filter((event) =>
      event.type === "snapshot" ? event.nodes.length === 0 : event.type === "removed",
    );

  test("a node that an operator deregisters: it is registered again", async () => {
    const registry = connect();
    const lost = node();
    const registration = await registry.register(lost, { ttlMs: 1_500 });
    await admin.deregister(lost.id);
    await expect.poll(() => admin.service(lost.id)).toBeUndefined();
    await expect.poll(() => admin.service(lost.id)).toBeDefined();
    expect(registration.active).toBe(true);
    await expect.poll(() => idsOf(registry, lost.service)).toEqual([lost.id]);
  });

  test("an id to another process: the owner notices, and leaves the id alone", async () => {
    const taken = node();
    let takenOver = 0;
    const first = await connect().register(taken, {
      ttlMs: 600,
      onTakenOver: () => takenOver++,
    });
    const second = await connect().register({ ...taken, version: "2" }, { ttlMs: 600 });
    await expect.poll(() => takenOver).toBe(1);
    expect(first.active).toBe(false);
    await first.close();
    await expect.poll(() => second.active).toBe(true);
    expect(await admin.service(taken.id)).toBeDefined();
    expect(await connect().get(taken.service)).toMatchObject([{ id: taken.id, version: "2" }]);
  });

  test("nothing of a registration is left after its close, nor of one that was cancelled", async () => {
    const registry = connect();
    const [closed, cancelled] = [node(), node()];
    await (await registry.register(closed)).close();
    expect(await admin.service(closed.id)).toBeUndefined();
    const aborting = new AbortController();
    const registering = registry.register(cancelled, { signal: aborting.signal });
    setImmediate(() => aborting.abort());
    await registering.catch(() => {});
    await registry.close();
    expect(await admin.service(cancelled.id)).toBeUndefined();
    const checks = (await admin.read("agent/checks")) as Record<string, { ServiceID: string }>;
    const ids = Object.values(checks).map(({ ServiceID }) => ServiceID);
    expect(ids).not.toContain(closed.id);
    expect(ids).not.toContain(cancelled.id);
  });

  test("its link: the watch has what changed meanwhile, as a snapshot", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const registry = connect({ address: `127.0.0.1:${proxy.port}` });
    const writer = connect();
    const first = node();
    const { service } = first;
    const events = record(registry, service);
    await expect.poll(() => events.length).toBe(1);
    await writer.register(first);
    await expect.poll(() => events.map(({ type }) => type)).toEqual(["snapshot", "added"]);
    proxy.refuse(true);
    proxy.cut();
    await expect.poll(() => registry.state).toBe("lost");
    await writer.register(node({ service, id: "second" }));
    expect(await idsOf(registry, service)).toEqual([first.id]);
    proxy.refuse(false);
    await expect.poll(() => idsOf(registry, service)).toEqual([first.id, "second"]);
    expect(events.map(({ type }) => type)).toEqual(["snapshot", "added", "snapshot"]);
    expect(registry.state).toBe("healthy");
  });

  test("its responses: a silent agent is detected, and asked again", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const link = new ConsulLink({ address: `127.0.0.1:${proxy.port}`, timeoutMs: 300 });
    onTestFinished(() => link.close());
    await using registry = consulRegistry({ link });
    const first = node();
    expect(await idsOf(registry, first.service)).toEqual([]);
    proxy.swallow(true);
    await connect().register(first);
    await expect.poll(() => registry.state).toBe("lost");
    proxy.swallow(false);
    proxy.cut();
    await expect.poll(() => idsOf(registry, first.service)).toEqual([first.id]);
    expect(registry.state).toBe("healthy");
  });

  test("its data: the index goes back, nodes stay known, and are registered again", async () => {
    await using own = await startConsul();
    const ownAdmin = new ConsulAdmin(own.url);
    // The index that is waited for then lies far in the future of the new servers.
    for (let n = 0; n < 200; n++) await ownAdmin.put("kv/filler", `${n}`);
    const registry = connect({ address: own.url });
    const watcher = connect({ address: own.url });
    const lost = node();
    await registry.register(lost, { ttlMs: 2_000 });
    expect(await idsOf(watcher, lost.service)).toEqual([lost.id]);
    const events = record(watcher, lost.service);
    await own.stop();
    await expect.poll(() => watcher.state).toBe("lost");
    expect(await idsOf(watcher, lost.service)).toEqual([lost.id]);
    own.wipe();
    await own.start();
    await expect.poll(() => ownAdmin.service(lost.id)).toBeDefined();
    await expect.poll(() => watcher.state).toBe("healthy");
    const late = node({ service: lost.service, id: "late" });
    await connect({ address: own.url }).register(late);
    await expect.poll(() => idsOf(watcher, lost.service)).toEqual([lost.id, "late"]);
    expect(removals(events)).toEqual([]);
  });

  test("its agent for longer than the ttl: nodes stay known, and the dead disappear after it", async () => {
    await using own = await startConsul();
    const watcher = connect({ address: own.url });
    const [alive, dead] = [node({ id: "alive" }), node({ id: "dead" })];
    const { service } = alive;
    await connect({ address: own.url }).register(alive, { ttlMs: 1_000 });
    await using dying = await FaultProxy.start(own.port);
    await connect({ address: `127.0.0.1:${dying.port}` }).register(
      { ...dead, service },
      { ttlMs: 1_000 },
    );
    await expect
      .poll(async () => (await idsOf(watcher, service)).sort())
      .toEqual(["alive", "dead"]);
    const events = record(watcher, service);
    await expect.poll(() => events.length).toBe(1);
    await own.stop();
    await expect.poll(() => watcher.state).toBe("lost");
    // This node can no longer be renewed, as if its process had died.
    dying.refuse(true);
    dying.cut();
    await sleep(1_500);
    await own.start();
    await expect.poll(() => idsOf(watcher, service)).toEqual(["alive"]);
    const gone = events.flatMap((event) => (event.type === "removed" ? [event.node.id] : []));
    expect(gone).toEqual(["dead"]);
  });

  test("its leader: the registry reports it, keeps the known nodes, and resumes with a leader", async () => {
    const servers = await startServers(3);
    onTestFinished(async () => {
      for (const each of servers) await each.close();
    });
    const [ours, ...others] = servers as [ConsulServer, ...ConsulServer[]];
    const registry = connect({ address: ours.url });
    const first = node();
    const registration = await registry.register(first, { ttlMs: 2_000 });
    expect(await idsOf(registry, first.service)).toEqual([first.id]);
    const events = record(registry, first.service);
    await expect.poll(() => events.length).toBe(1);
    for (const each of others) await each.stop();
    await expect.poll(() => registry.state, { timeout: 30_000 }).toBe("lost");
    expect(await idsOf(registry, first.service)).toEqual([first.id]);
    for (const each of others) await each.start();
    await expect.poll(() => registry.state, { timeout: 30_000 }).toBe("healthy");
    await expect.poll(() => registration.active).toBe(true);
    // Found through another agent, so the servers have it.
    const there = connect({ address: others[0]?.url ?? "" });
    await expect.poll(() => idsOf(there, first.service)).toEqual([first.id]);
    await there.register(node({ service: first.service, id: "there" }));
    await expect.poll(() => idsOf(registry, first.service)).toEqual([first.id, "there"]);
    expect(removals(events)).toEqual([]);
  }, 120_000);

  test("nothing to services of other kinds and invalid nodes: they are ignored, with one message", async () => {
    const logger = recordingLogger();
    const registry = connect({ logger });
    const valid = node();
    const { service } = valid;
    await connect().register(valid);
    const version = "v=1";
    const base = { Name: service, Address: "127.0.0.1", Port: 9 };
    const bad: readonly object[] = [
      { ID: "plain", Tags: ["primary"] },
      { ID: "wildcard", Tags: [version], Address: "169.254.169.254" },
      { ID: "no-port", Tags: [version], Port: 0 },
      { ID: "another", Tags: [version], Meta: { micro_id: "id" } },
      { ID: "ttl", Tags: [version], Meta: { micro_owner: "x", micro_ttl: "-1" } },
      { ID: "control", Tags: ["v=\u0007"] },
      { ID: "metadata", Tags: [version, 't={"a":17}'] },
    ];
    for (const each of bad) await admin.register({ ...base, ...each });
    // The tags that go-micro would not survive, and damaged ones.
    const odd = ["e", "t", "v", "e-", "t-zz", "e=null", "t=[]", "v-78", "e-789c", "env=x", "test"];
    await admin.register({ ...base, ID: "odd", Tags: [...odd, version] });
    await expect.poll(() => idsOf(registry, service)).toEqual(expect.arrayContaining(["odd"]));
    expect((await idsOf(registry, service)).sort()).toEqual([valid.id, "odd"].sort());
    expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    await admin.register({ Name: "only-plain", ID: "only-plain", Port: 9 });
    expect(await registry.list()).not.toContain("only-plain");
  });

  test("no memory to a tag that inflates to more than it may", async () => {
    const registry = connect();
    const { service } = node();
    const bomb = `e-${deflateSync(Buffer.alloc(30_000_000)).toString("hex")}`;
    const base = { Name: service, Address: "127.0.0.1", Port: 9 };
    await admin.register({ ...base, ID: "bomb", Tags: ["v=1", bomb] });
    await admin.register({ ...base, ID: "good", Tags: ["v=1"] });
    await expect.poll(() => idsOf(registry, service)).toEqual(["good"]);
  });

  test("ids with slashes, dots and percent signs are nodes of their own", async () => {
    const registry = connect();
    const { service } = node();
    const ids = ["a/b", "a//b", "a-b", "a%2Fb", "..", ".", "/", "%", "a?b=c#d", 'a"b'];
    const registrations = [];
    for (const id of ids) registrations.push(await registry.register(node({ service, id })));
    const fresh = connect();
    expect((await idsOf(fresh, service)).sort()).toEqual([...ids].sort());
    expect(await fresh.list()).toContain(service);
    for (const each of registrations) await each.close();
    await expect.poll(() => idsOf(fresh, service)).toEqual([]);
  });

  test("addresses of every kind arrive as they are", async () => {
    const registry = connect();
    const { service } = node();
    const addresses = ["10.0.0.9:80", "[fd00::9]:80", "host.example:80", "unix:/run/a.sock"];
    for (const [index, address] of addresses.entries()) {
      await registry.register(node({ service, id: `n${index}`, address }));
    }
    const found = await connect().get(service);
    expect(found.map(({ address }) => address).sort()).toEqual([...addresses].sort());
    const long = node({ address: `unix:/${"a".repeat(600)}` });
    expect(await errorOf(registry.register(long))).toMatchObject({ code: "invalid_argument" });
  });

  test("more services are followed than there are connections for blocking queries", async () => {
    const registry = connect();
    const names = Array.from({ length: 150 }, () => node().service);
    await Promise.all(names.map((name) => registry.get(name)));
    const last = names[149] ?? "";
    const writer = connect();
    await writer.register(node({ service: last, id: "found" }));
    await expect.poll(() => idsOf(registry, last)).toEqual(["found"]);
    expect(registry.state).toBe("healthy");
  });

  test("a service keeps a bounded number of nodes, and logs it once", async () => {
    const logger = recordingLogger();
    const { service } = node();
    await admin.catalog("register", {});
    const write = (from: number, count: number) =>
      admin.registerMany(
        Array.from({ length: count }, (_, index) => {
          return { ID: `n${from + index}`, Service: service, Tags: ["v=1"], Port: 9 };
        }),
      );
    await write(0, maxNodesPerService + 50);
    const registry = connect({ logger });
    expect(await registry.get(service)).toHaveLength(maxNodesPerService);
    await write(10_000, 1);
    await write(20_000, 1);
    await expect.poll(() => logger.lines.length).toBe(1);
    expect(logger.lines.map(({ message }) => message)).toEqual([
      `the service has more than ${maxNodesPerService} nodes; the others are ignored`,
    ]);
  });

  test("an unreachable agent: the first use names its address, and a close ends the wait", async () => {
    await using own = await startConsul();
    await own.stop();
    const failing = connect({ address: own.url, startTimeoutMs: 0 });
    const failure = await errorOf(failing.get("absent"));
    expect(failure).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(failure.message).toContain(own.url);
    const waiting = connect({ address: own.url });
    const registering = errorOf(waiting.register(node()));
    await expect.poll(() => waiting.state).toBe("lost");
    await waiting.close();
    expect(await registering).toMatchObject({ code: "unavailable" });
    const late = connect({ address: own.url });
    const found = late.get("absent");
    await expect.poll(() => late.state).toBe("lost");
    await own.start();
    expect(await found).toEqual([]);
    await expect.poll(() => idsOf(failing, "absent").catch(() => "failed")).toEqual([]);
  });
});
