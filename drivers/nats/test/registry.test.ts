import { type RegistryBackend, registryContract } from "@micro-es/contract/registry";
import { goMicroNatsRegistry, natsRegistry } from "@micro-es/nats";
import { maxNodesPerService } from "@micro-es/runtime/driver";
import { startProgram } from "@micro-es/test-support/argument-program";
import { recordingLogger } from "@micro-es/test-support/server";
import { connect, headers } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeRecord, keyOf } from "../src/registry/record.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const registryNode = new URL("registry-node.ts", import.meta.url).href;

describe.skipIf(skipWithoutNats)("registries on NATS", () => {
  let server: NatsServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const create: Record<string, () => Promise<RegistryBackend>> = {
    "in a bucket": async () => {
      const servers = server.url;
      const bucket = `registry-${fleets++}`;
      return {
        connect: () => natsRegistry({ servers, bucket }),
        spawn: (node, ttlMs) => startProgram(registryNode, { servers, bucket, node, ttlMs }),
      };
    },
    "as go-micro's": async () => {
      const servers = server.url;
      const fleet = `fleet${fleets++}`;
      const topics = { queryTopic: `${fleet}.query`, watchTopic: `${fleet}.watch` };
      return {
        connect: () => goMicroNatsRegistry({ servers, ...topics }),
        spawn: (node, ttlMs) => startProgram(registryNode, { servers, topics, node, ttlMs }),
      };
    },
  };
  describe.each(Object.entries(create))("%s", (_name, backend) => {
    for (const { name, run } of registryContract(backend)) test(name, run);
  });

  test("NATS' own service discovery shows what is registered", async () => {
    const tools = await connect({ servers: server.url });
    await using registry = natsRegistry({ servers: server.url, bucket: "discovered" });
    const registration = await registry.register({
      id: "shop.orders-1",
      service: "shop.orders",
      version: "1.2.0",
      address: "10.0.0.1:80",
      metadata: { zone: "a" },
      endpoints: [{ name: "Orders.Place", metadata: { kind: "unary" } }],
    });
    const client = tools.services.client();
    const all = async <T>(answers: Promise<AsyncIterable<T>>) => {
      const found: T[] = [];
      for await (const answer of await answers) found.push(answer);
      return found;
    };
    const known = { name: "shop_orders", id: "shop_orders-1", version: "1.2.0" };
    expect(await all(client.ping())).toMatchObject([known]);
    expect(await all(client.info("shop_orders"))).toMatchObject([
      {
        ...known,
        metadata: { zone: "a" },
        endpoints: [{ name: "Orders_Place", metadata: { name: "Orders.Place" } }],
      },
    ]);
    expect(await all(client.stats("shop_orders", "shop_orders-1"))).toMatchObject([known]);
    await registration.close();
    await expect(all(client.ping())).rejects.toMatchObject({ code: "503" });
    await tools.close();
  });

  test("a service in a bucket keeps a bounded number of nodes, and logs so once", async () => {
    const logger = recordingLogger();
    await using registry = natsRegistry({ servers: server.url, bucket: "crowded", logger });
    const tools = await connect({ servers: server.url });
    const shared = { version: "1", address: "127.0.0.1:9", metadata: {}, endpoints: [] };
    // The first registration creates the bucket.
    await registry.register({ id: "a", service: "other", ...shared });
    const write = (number: number) => {
      const node = { id: `n${number}`, service: "shop", ...shared };
      const record = encodeRecord({ node, ttlMs: 600_000, owner: "" });
      tools.publish(`$KV.crowded.${keyOf(node)}`, record);
      return keyOf(node);
    };
    const first = write(0);
    for (let number = 1; number < maxNodesPerService + 50; number++) write(number);
    const count = async () => (await registry.get("shop")).length;
    await expect.poll(count, { timeout: 30_000 }).toBe(maxNodesPerService);
    write(maxNodesPerService + 50);
    write(maxNodesPerService + 51);
    // Once this has arrived, so have the writes before it.
    const deletion = headers();
    deletion.set("KV-Operation", "DEL");
    tools.publish(`$KV.crowded.${first}`, undefined, { headers: deletion });
    await expect.poll(count, { timeout: 10_000 }).toBe(maxNodesPerService - 1);
    expect(logger.lines.map(({ message }) => message)).toEqual([
      `the service has more than ${maxNodesPerService} nodes; the others are ignored`,
    ]);
    await tools.close();
  }, 60_000);

  test("speaks go-micro's registry protocol as Go does", async () => {
    const go = await connect({ servers: server.url });
    const changes: unknown[] = [];
    go.subscribe("micro.nats.watch", {
      callback: (_error, message) => void changes.push(message.json()),
    });
    const greeter = {
      name: "greeter",
      version: "latest",
      metadata: null,
      endpoints: [{ name: "Greeter.Hello", request: null, response: null, metadata: {} }],
      nodes: [{ id: "greeter-go", address: "10.0.0.9:8080", metadata: { protocol: "mucp" } }],
    };
    go.subscribe("micro.nats.query", {
      callback: (_error, message) => {
        const { Service, Action } = message.json<{
          Service: { name: string } | null;
          Action: string;
        }>();
        if (Action === "list" || Service?.name === "greeter")
          message.respond(JSON.stringify(greeter));
      },
    });
    await go.flush();
    await using registry = goMicroNatsRegistry({ servers: server.url });
    expect(await registry.get("greeter")).toEqual([
      {
        id: "greeter-go",
        service: "greeter",
        version: "latest",
        address: "10.0.0.9:8080",
        metadata: { protocol: "mucp" },
        endpoints: [{ name: "Greeter.Hello", metadata: {} }],
      },
    ]);
    const node = {
      id: "ours-1",
      service: "ours",
      version: "2",
      address: "10.0.0.1:1",
      metadata: {},
      endpoints: [],
    };
    const registration = await registry.register(node);
    expect(await registry.list()).toEqual(["greeter", "ours"]);
    const answers: unknown[] = [];
    const replies = await go.requestMany(
      "micro.nats.query",
      '{"Service":{"name":"ours","version":"","metadata":null,"endpoints":null,"nodes":null},"Action":"get"}',
      { maxWait: 100 },
    );
    for await (const reply of replies) answers.push(reply.json());
    expect(answers).toMatchObject([
      { name: "ours", version: "2", nodes: [{ id: "ours-1", address: "10.0.0.1:1" }] },
    ]);
    await registration.close();
    await expect
      .poll(() => changes)
      .toMatchObject([
        { Action: "create", Service: { name: "ours" } },
        { Action: "delete", Service: { name: "ours" } },
      ]);
    await go.close();
  });
});
