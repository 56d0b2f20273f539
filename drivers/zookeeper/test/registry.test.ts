import { registryContract } from "@micro-es/contract/registry";
import type { Node } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { recordingLogger } from "@micro-es/test-support/server";
import { zooKeeperRegistry } from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ZooKeeperAdmin } from "./admin.ts";
import { skipWithoutZooKeeper, startZooKeeper, type ZooKeeperServer } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;

describe.skipIf(skipWithoutZooKeeper)("a registry in ZooKeeper", () => {
  let server: ZooKeeperServer;
  let admin: ZooKeeperAdmin;
  let services = 0;
  beforeAll(async () => {
    server = await startZooKeeper();
    admin = new ZooKeeperAdmin(server.address);
  });
  afterAll(async () => {
    await admin?.close();
    await server?.close();
  });

  const contract = registryContract(async () => {
    const options = { servers: server.address };
    return {
      connect: () => zooKeeperRegistry(options),
      spawn: (node, ttlMs) => startProgram(nodeFile, { options, nodes: [node], ttlMs }),
    };
  });
  for (const { name, run } of contract) test(name, run);

  const connect = (options: Parameters<typeof zooKeeperRegistry>[0] = {}) => {
    const registry = zooKeeperRegistry({ servers: server.address, ...options });
    onTestFinished(() => registry.close());
    return registry;
  };
  const node = (part: Partial<Node> = {}): Node => {
    const service = `mine-${services++}`;
    const rest = { version: "1", address: "127.0.0.1:9", metadata: {}, endpoints: [] };
    return { id: `${service}-1`, service, ...rest, ...part };
  };
  const pathOf = ({ service, id }: Node) => `/micro-registry/${service}/${id}`;

  test("writes what go-micro reads, byte for byte, in an ephemeral znode", async () => {
    const mine = node({
      metadata: { zone: "a" },
      endpoints: [{ name: "Echo.Once", metadata: { stream: "true" } }],
    });
    await connect().register(mine, { ttlMs: 20_000 });
    const data = Buffer.from((await admin.read(pathOf(mine))) ?? []).toString();
    const [record = "", rest = ""] = data.split(',"MicroES":');
    expect(`${record}}`).toBe(
      `{"name":"${mine.service}","version":"1","metadata":null,"endpoints":[{"request":null,"response":null,"metadata":{"stream":"true"},"name":"Echo.Once"}],"nodes":[{"metadata":{"zone":"a"},"id":"${mine.id}","address":"127.0.0.1:9"}]}`,
    );
    expect(JSON.parse(rest.slice(0, -1))).toEqual({ ttlMs: 20_000, owner: expect.any(String) });
    expect((await admin.stat(pathOf(mine)))?.ephemeralOwner).not.toBe(0n);
    const parent = await admin.stat(`/micro-registry/${mine.service}`);
    expect(parent).toMatchObject({ ephemeralOwner: 0n, numChildren: 1 });
    expect(await admin.read(`/micro-registry/${mine.service}`)).toHaveLength(0);
  });

  test("reads what go-micro writes, and nothing else", async () => {
    const logger = recordingLogger();
    const registry = connect({ logger });
    const path = "/micro-registry/go.micro.srv.greeter";
    await admin.put(
      `${path}/greeter-1-2`,
      '{"name":"go.micro.srv.greeter","version":"latest","metadata":null,"endpoints":[{"name":"Say.Hello","request":{"name":"Request","type":"Request","values":null},"response":null,"metadata":null}],"nodes":[{"id":"greeter-1/2","address":"10.0.0.5:8080","metadata":{"registry":"zookeeper"}}]}',
    );
    await admin.put(`${path}/nothing`, "");
    await admin.put(`${path}/null`, "null");
    await admin.put(`${path}/other`, '{"name":"go.micro.srv.other"}');
    await admin.put(`${path}/greeter-1-2/child`, "{}");
    expect(await registry.get("go.micro.srv.greeter")).toEqual([
      {
        id: "greeter-1/2",
        service: "go.micro.srv.greeter",
        version: "latest",
        address: "10.0.0.5:8080",
        metadata: { registry: "zookeeper" },
        endpoints: [{ name: "Say.Hello", metadata: {} }],
      },
    ]);
    expect(await registry.list()).toContain("go.micro.srv.greeter");
    expect(
      logger.lines.filter(({ message }) => /is not that of a node/.test(message)),
    ).toHaveLength(1);
  });

  test("an update is a deletion and a creation, which go-micro's watch sees", async () => {
    const mine = node();
    const registry = connect();
    await registry.register(mine);
    const before = await admin.stat(pathOf(mine));
    const events: number[] = [];
    admin.link.watches.watch(pathOf(mine), false, ({ type }) => events.push(type));
    await admin.link.watches.ready(pathOf(mine));
    await connect().register({ ...mine, version: "2" });
    await expect.poll(() => events).toEqual([2, 1]);
    expect((await admin.stat(pathOf(mine)))?.czxid).toBeGreaterThan(before?.czxid ?? 0n);
    await expect.poll(() => registry.get(mine.service)).toMatchObject([{ version: "2" }]);
  });

  test("a node that an operator deletes or overwrites is registered again", async () => {
    const mine = node();
    const registry = connect();
    const registration = await registry.register(mine);
    const record = await admin.read(pathOf(mine));
    await admin.delete(pathOf(mine));
    await expect.poll(() => admin.read(pathOf(mine))).toEqual(record);
    await admin.put(pathOf(mine), "null");
    await expect.poll(() => admin.read(pathOf(mine))).toEqual(record);
    expect(registration.active).toBe(true);
  });

  test("a node whose session has expired is registered in the next one, unless its id was taken", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const [kept, taken] = [node(), node()];
    const away = connect({ servers: `127.0.0.1:${proxy.port}` });
    let takenOver = 0;
    const first = await away.register(kept, { ttlMs: 1_000 });
    const second = await away.register(taken, {
      ttlMs: 1_000,
      onTakenOver: () => takenOver++,
    });
    const before = await admin.stat(pathOf(kept));
    proxy.refuse(true);
    proxy.cut();
    await expect.poll(() => admin.stat(pathOf(kept))).toBeUndefined();
    expect([first.active, second.active]).toEqual([false, false]);
    await connect().register({ ...taken, version: "2" });
    proxy.refuse(false);
    await expect.poll(() => takenOver).toBe(1);
    await expect.poll(() => first.active).toBe(true);
    expect((await admin.stat(pathOf(kept)))?.ephemeralOwner).not.toBe(before?.ephemeralOwner);
    await second.close();
    expect(await connect().get(taken.service)).toMatchObject([{ version: "2" }]);
  });

  test("uses the shared session for ttls that it fits, and says where a session is longer", async () => {
    const logger = recordingLogger();
    const registry = connect({ logger });
    const [long, short] = [node(), node()];
    await registry.register(long, { ttlMs: 10_000 });
    await registry.register(short, { ttlMs: 300 });
    const [one, two] = [await admin.stat(pathOf(long)), await admin.stat(pathOf(short))];
    expect(one?.ephemeralOwner).not.toBe(two?.ephemeralOwner);
    expect(logger.lines.filter(({ message }) => /longer than its ttl/.test(message))).toMatchObject(
      [{ fields: { node: short.id, ttlMs: 300, grantedMs: 1_000 } }],
    );
  });
});
