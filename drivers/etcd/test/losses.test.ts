import { EtcdLink, etcdRegistry } from "@micro-es/etcd";
import type { Node, Registry, RegistryEvent } from "@micro-es/runtime";
import { maxNodesPerService } from "@micro-es/runtime/driver";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { errorOf, recordingLogger } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { type EtcdServer, skipWithoutEtcd, startCluster, startEtcd } from "./server.ts";

describe.skipIf(skipWithoutEtcd)("a registry whose etcd loses something", () => {
  let server: EtcdServer;
  let admin: EtcdAdmin;
  let services = 0;
  beforeAll(async () => {
    server = await startEtcd();
    admin = new EtcdAdmin(server.url);
  });
  afterAll(() => server?.close());

  const connect = (options: Parameters<typeof etcdRegistry>[0] = {}): Registry => {
    const registry = etcdRegistry({ endpoints: server.url, ...options });
    onTestFinished(() => registry.close());
    return registry;
  };
  const node = (part: Partial<Node> = {}): Node => {
    const service = part.service ?? `losses-${services++}`;
    const rest = { version: "1", address: "127.0.0.1:9", metadata: {}, endpoints: [] };
    return { id: `${service}-1`, service, ...rest, ...part };
  };
  const keyOf = ({ service, id }: Node) => `/micro/registry/${service}/${id}`;
  const idsOf = async (registry: Registry, service: string) =>
    (await registry.get(service)).map(({ id }) => id);

  test("a lease: the node is registered again, on another lease", async () => {
    const registry = connect();
    const lost = node();
    const registration = await registry.register(lost);
    const { lease = "" } = (await admin.get(keyOf(lost))) ?? {};
    await admin.revoke(lease);
    await expect.poll(() => admin.get(keyOf(lost))).toBeDefined();
    expect((await admin.get(keyOf(lost)))?.lease).not.toBe(lease);
    expect(registration.active).toBe(true);
  });

  test("a key that another client deletes: it is written again", async () => {
    const registry = connect();
    const lost = node();
    await registry.register(lost);
    await admin.delete(keyOf(lost));
    await expect.poll(() => admin.get(keyOf(lost))).toBeDefined();
    expect(await idsOf(registry, lost.service)).toEqual([lost.id]);
  });

  test("nothing of a registration is left after its close, nor of one that was cancelled", async () => {
    const before = new Set(await admin.leases());
    const registry = connect();
    const [closed, cancelled] = [node(), node()];
    await (await registry.register(closed)).close();
    expect(await admin.get(keyOf(closed))).toBeUndefined();
    const aborting = new AbortController();
    const registering = registry.register(cancelled, { signal: aborting.signal });
    setImmediate(() => aborting.abort());
    await registering.catch(() => {});
    await registry.close();
    expect((await admin.leases()).filter((lease) => !before.has(lease))).toEqual([]);
  });

  test("the history: a watch resumes where its link was cut, or from a snapshot after a compaction", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const registry = connect({ endpoints: `http://127.0.0.1:${proxy.port}` });
    const writer = connect();
    const first = node();
    const { service } = first;
    const events: RegistryEvent[] = [];
    const ending = new AbortController();
    const watching = (async () => {
      for await (const event of registry.watch(service, { signal: ending.signal }))
        events.push(event);
    })();
    await expect.poll(() => events.length).toBe(1);
    await writer.register(first);
    await expect.poll(() => events.map(({ type }) => type)).toEqual(["snapshot", "added"]);
    proxy.cut();
    const second = await writer.register(node({ service, id: "second" }));
    await expect.poll(() => idsOf(registry, service)).toEqual([first.id, "second"]);
    expect(events.map(({ type }) => type)).toEqual(["snapshot", "added", "added"]);
    proxy.refuse(true);
    proxy.cut();
    await second.close();
    await writer.register(node({ service, id: "third" }));
    await admin.compact();
    proxy.refuse(false);
    await expect.poll(() => idsOf(registry, service)).toContain("third");
    await expect.poll(() => events.at(-1)?.type).toBe("snapshot");
    ending.abort();
    await watching;
  });

  test("its data: nodes stay known, and are registered again", async () => {
    await using own = await startEtcd();
    const registry = connect({ endpoints: own.url });
    const watcher = connect({ endpoints: own.url });
    const lost = node();
    await registry.register(lost, { ttlMs: 3_000 });
    expect(await idsOf(watcher, lost.service)).toEqual([lost.id]);
    const removals: string[] = [];
    const ending = new AbortController();
    const watching = (async () => {
      for await (const event of watcher.watch(lost.service, { signal: ending.signal })) {
        if (event.type === "removed") removals.push(event.node.id);
        if (event.type === "snapshot" && event.nodes.length === 0) removals.push("all");
      }
    })();
    await own.stop();
    await expect.poll(() => watcher.state).toBe("lost");
    expect(await idsOf(watcher, lost.service)).toEqual([lost.id]);
    own.wipe();
    await own.start();
    const ownAdmin = new EtcdAdmin(own.url);
    await expect.poll(() => ownAdmin.get(keyOf(lost))).toBeDefined();
    await expect.poll(() => watcher.state).toBe("healthy");
    const fresh = connect({ endpoints: own.url });
    await expect.poll(() => idsOf(fresh, lost.service)).toEqual([lost.id]);
    ending.abort();
    await watching;
    expect(removals).toEqual([]);
  });

  test("its responses: a silent connection is detected, and another endpoint is used", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const link = new EtcdLink({ endpoints: [`http://127.0.0.1:${proxy.port}`], timeoutMs: 2_000 });
    onTestFinished(() => link.close());
    await using registry = etcdRegistry({ link });
    const writer = connect();
    const first = node();
    expect(await idsOf(registry, first.service)).toEqual([]);
    proxy.swallow(true);
    await writer.register(first);
    await expect.poll(() => registry.state, { timeout: 20_000 }).toBe("lost");
    proxy.swallow(false);
    proxy.cut();
    await expect.poll(() => idsOf(registry, first.service)).toEqual([first.id]);
    expect(registry.state).toBe("healthy");
  });

  test("its quorum: the registry reports it, keeps the known nodes, and resumes with the quorum", async () => {
    const members = await startCluster(3, {
      flags: ["--heartbeat-interval", "50", "--election-timeout", "500"],
    });
    onTestFinished(async () => {
      for (const member of members) await member.close();
    });
    const endpoints = members.map(({ url }) => url);
    const registry = connect({ endpoints, timeoutMs: 2_000 });
    const first = node();
    const registration = await registry.register(first, { ttlMs: 2_000 });
    expect(await idsOf(registry, first.service)).toEqual([first.id]);
    // The loss of one member, whichever the registry uses, has no effect but an election.
    for (const member of members) {
      await member.stop();
      const late = node({ service: first.service, id: `with-${member.port}` });
      await using registered = await vi.waitFor(() => registry.register(late), 10_000);
      expect(registered.active).toBe(true);
      await expect.poll(() => registry.state).toBe("healthy");
      await member.start();
    }
    await expect.poll(() => idsOf(registry, first.service)).toEqual([first.id]);
    await members[0]?.stop();
    await members[1]?.stop();
    await expect.poll(() => registry.state, { timeout: 20_000 }).toBe("lost");
    expect(await idsOf(registry, first.service)).toEqual([first.id]);
    await members[0]?.start();
    await expect.poll(() => registry.state, { timeout: 20_000 }).toBe("healthy");
    await expect.poll(() => registration.active).toBe(true);
    const fresh = connect({ endpoints });
    await expect.poll(() => idsOf(fresh, first.service)).toEqual([first.id]);
  }, 120_000);

  test("a member that is paused: another one takes over", async () => {
    const members = await startCluster(3, {
      flags: ["--heartbeat-interval", "50", "--election-timeout", "500"],
    });
    onTestFinished(async () => {
      for (const member of members) await member.close();
    });
    const registry = connect({ endpoints: members.map(({ url }) => url), timeoutMs: 2_000 });
    const first = node();
    await registry.register(first, { ttlMs: 30_000 });
    for (const member of members) {
      member.signal("SIGSTOP");
      const late = node({ service: first.service, id: `while-${member.port}` });
      await expect
        .poll(
          () =>
            registry.register(late).then(
              () => true,
              () => false,
            ),
          { timeout: 30_000 },
        )
        .toBe(true);
      member.signal("SIGCONT");
    }
  }, 120_000);

  test("nothing to records that are not nodes: they are ignored, with one message", async () => {
    const logger = recordingLogger();
    const registry = connect({ logger });
    const valid = node();
    const { service } = valid;
    const key = (id: string) => `/micro/registry/${service}/${id}`;
    const record = (part: object, id = "a") =>
      JSON.stringify({
        name: service,
        version: "1",
        nodes: [{ id, address: "127.0.0.1:9", ...part }],
      });
    await connect().register(valid);
    await admin.put(key("text"), "not JSON");
    await admin.put(key("null"), "null");
    await admin.put(key("deep"), "[".repeat(100_000));
    await admin.put(key("bytes"), new Uint8Array([0xff, 0xfe]));
    await admin.put(key("many"), JSON.stringify({ name: service, nodes: [{}, {}] }));
    await admin.put(key("a"), record({ address: "0.0.0.0:80" }));
    await admin.put(key("b"), record({}, "another"));
    await admin.put(
      key("c"),
      JSON.stringify({ name: "another", nodes: [{ id: "c", address: "127.0.0.1:9" }] }),
    );
    await admin.put(key("d/e"), record({}, "e"));
    await admin.put(key("huge"), record({ metadata: { a: "x".repeat(500_000) } }, "huge"));
    await admin.put("/micro/registry/spaces in it/id", record({}));
    expect(await idsOf(registry, service)).toEqual([valid.id]);
    await admin.put(key("late"), "not JSON either");
    await admin.put(key("good"), record({}, "good"));
    await expect.poll(() => idsOf(registry, service)).toEqual([valid.id, "good"]);
    expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(await registry.list()).not.toContain("spaces in it");
  });

  test("reads go-micro's records, and writes records that go-micro reads", async () => {
    const registry = connect();
    const service = `go-${services++}`;
    const written = {
      name: service,
      version: "latest",
      metadata: null,
      endpoints: [
        { name: "Greeter.Hello", request: null, response: null, metadata: { stream: "true" } },
      ],
      nodes: [{ id: `${service}-a/b`, address: "10.0.0.9:8080", metadata: { protocol: "mucp" } }],
    };
    await admin.put(`/micro/registry/${service}/${service}-a-b`, JSON.stringify(written));
    expect(await registry.get(service)).toEqual([
      {
        id: `${service}-a/b`,
        service,
        version: "latest",
        address: "10.0.0.9:8080",
        metadata: { protocol: "mucp" },
        endpoints: [{ name: "Greeter.Hello", metadata: { stream: "true" } }],
      },
    ]);
    const ours = node({ metadata: { zone: "a" }, endpoints: [{ name: "A.B", metadata: {} }] });
    await registry.register(ours);
    const { value = "" } = (await admin.get(keyOf(ours))) ?? {};
    expect(JSON.parse(value)).toMatchObject({
      name: ours.service,
      version: "1",
      endpoints: [{ name: "A.B", request: null, response: null, metadata: {} }],
      nodes: [{ id: ours.id, address: "127.0.0.1:9", metadata: { zone: "a" } }],
    });
  });

  test("ids with slashes, dots and percent signs are nodes of their own", async () => {
    const registry = connect();
    const { service } = node();
    const ids = ["a/b", "a-b", "a%2Fb", "..", ".", "/", "%"];
    for (const id of ids) await registry.register(node({ service, id }));
    const fresh = connect();
    expect((await idsOf(fresh, service)).sort()).toEqual([...ids].sort());
    expect(await fresh.list()).toContain(service);
  });

  test("a service keeps a bounded number of nodes, and logs it once", async () => {
    const logger = recordingLogger();
    const { service } = node();
    const record = (id: string) =>
      JSON.stringify({ name: service, version: "1", nodes: [{ id, address: "127.0.0.1:9" }] });
    await admin.putAll(
      Array.from({ length: maxNodesPerService + 50 }, (_, index) => {
        return [`/micro/registry/${service}/n${index}`, record(`n${index}`)] as const;
      }),
    );
    const registry = connect({ logger });
    expect(await registry.get(service)).toHaveLength(maxNodesPerService);
    await admin.put(`/micro/registry/${service}/late`, record("late"));
    await admin.put(`/micro/registry/${service}/later`, record("later"));
    await vi.waitFor(() => expect(logger.lines.length).toBeGreaterThan(0), 10_000);
    expect(logger.lines.map(({ message }) => message)).toEqual([
      `the service has more than ${maxNodesPerService} nodes; the others are ignored`,
    ]);
  });

  test("an unreachable etcd: the first use names its address, and a close ends the wait", async () => {
    await using own = await startEtcd();
    await own.stop();
    const failing = connect({ endpoints: own.url, startTimeoutMs: 0 });
    const failure = await errorOf(failing.get("absent"));
    expect(failure).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(failure.message).toContain(own.url);
    const waiting = connect({ endpoints: own.url });
    const registering = errorOf(waiting.register(node()));
    await expect.poll(() => waiting.state).toBe("lost");
    await waiting.close();
    expect(await registering).toMatchObject({ code: "unavailable" });
    const late = connect({ endpoints: own.url });
    const found = late.get("absent");
    await expect.poll(() => late.state).toBe("lost");
    await own.start();
    expect(await found).toEqual([]);
  });
});
