import {
  MemoryNetwork,
  MemoryRegistryNetwork,
  memoryBroker,
  memoryRegistry,
  memoryTransport,
  type Registry,
} from "@micro-es/runtime";
import { expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { recordingLogger, registerEcho } from "../../../test/support/server.ts";
import { createTopic } from "../broker/topic.ts";
import { buildServer } from "./rpc-server.ts";

const listen = () => [
  { transport: memoryTransport({ network: new MemoryNetwork() }), address: "memory:echo" },
];

const topic = createTopic({ name: "echo.echoed", codec: echo.echo.input });

test("a server is registered under its own name and under those of its schemas", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  await using server = buildServer({
    name: "echo-server",
    id: "4711",
    version: "1.2.0",
    metadata: { zone: "a" },
    listen: listen(),
    registry,
    broker: memoryBroker(),
  });
  registerEcho(server);
  server.subscribe(topic, () => {}, {
    name: "micro.test.v1.EchoService/OnEchoed",
    service: "echo",
    queue: "counters",
  });
  await server.start();

  expect(await registry.list()).toEqual(["echo", "echo-server"]);
  const [own] = await registry.get("echo-server");
  const [bySchema] = await registry.get("echo");
  expect(own).toMatchObject({
    id: "echo-server-4711",
    version: "1.2.0",
    address: "memory:echo",
    metadata: {
      zone: "a",
      protocol: "memory",
      transport: "memory",
      server: "micro-es",
      registry: "memory",
      broker: "memory",
    },
  });
  expect(bySchema).toMatchObject({ id: "echo-4711", address: "memory:echo" });
  expect(bySchema?.endpoints).toEqual(own?.endpoints);
  expect(bySchema?.endpoints.map(({ name }) => name)).toEqual([
    "EchoService.Echo",
    "EchoService.Once",
    "EchoService.Repeat",
    "EchoService.Collect",
    "EchoService.Chat",
    "EchoService.OnEchoed",
  ]);
  expect(bySchema?.endpoints[2]?.metadata).toEqual({
    kind: "server_streaming",
    method: "micro.test.v1.EchoService/Repeat",
    stream: "true",
  });
  expect(bySchema?.endpoints[5]?.metadata).toEqual({
    topic: "echo.echoed",
    subscriber: "true",
    queue: "counters",
  });

  await server.close();
  expect(await registry.list()).toEqual([]);
});

test("methods of another service are listed only under that service", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  await using server = buildServer({ name: "echo", listen: listen(), registry });
  registerEcho(server);
  server.unary({ ...echo.echo, service: "debug", name: "micro.debug.v1.Debug/Health" }, () => ({}));
  await server.start();
  const [debug] = await registry.get("debug");
  expect(debug?.endpoints.map(({ name }) => name)).toEqual(["Debug.Health"]);
  const [own] = await registry.get("echo");
  expect(own?.endpoints).toHaveLength(5 + 1);
});

test("of several addresses the first is registered, and others on request", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const transport = memoryTransport({ network: new MemoryNetwork() });
  await using server = buildServer({
    name: "echo",
    id: "1",
    registry,
    listen: [
      { transport, address: "memory:a", advertise: "gateway.example:443" },
      { transport, address: "memory:b" },
      { transport, address: "memory:c", advertise: "memory:c" },
    ],
  });
  registerEcho(server);
  await server.start();
  expect(server.addresses).toEqual(["memory:a", "memory:b", "memory:c"]);
  const nodes = await registry.get("echo");
  expect(nodes.map(({ id, address }) => `${id} ${address}`)).toEqual([
    "echo-1 gateway.example:443",
    "echo-1-2 memory:c",
  ]);
});

test("a server with too many endpoints for a record is registered without them", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const logger = recordingLogger();
  await using server = buildServer({ name: "echo", listen: listen(), registry, logger });
  for (let index = 0; index < 1_100; index++) {
    server.unary({ ...echo.echo, name: `acme.Large/Method${index}` }, () => ({}));
  }
  await server.start();
  expect((await registry.get("echo"))[0]?.endpoints).toEqual([]);
  expect(logger.lines.find(({ level }) => level === "warn")?.fields.endpoints).toBe(1_100);
});

test("a start that fails midway releases its resources, and can be retried", async () => {
  const network = new MemoryNetwork();
  const transport = memoryTransport({ network });
  const inner = memoryRegistry({ network: new MemoryRegistryNetwork() });
  let broken = true;
  const registry: Registry = Object.assign(Object.create(inner) as Registry, {
    name: "broken",
    register: (...parameters: Parameters<Registry["register"]>) =>
      broken && parameters[0].service === "echo"
        ? Promise.reject(new Error("no quorum"))
        : inner.register(...parameters),
  });
  const server = buildServer({
    name: "other",
    registry,
    listen: [{ transport, address: "memory:here" }],
  });
  registerEcho(server);
  await expect(server.start()).rejects.toThrow("no quorum");
  expect(server.state).toBe("created");
  expect(network.find("memory:here")).toBeUndefined();
  expect(await inner.list()).toEqual([]);

  broken = false;
  await server.start();
  expect(await inner.list()).toEqual(["echo", "other"]);
  await server.close();
});

test("two servers at one address get a clear error that says what to do", async () => {
  const transport = memoryTransport({ network: new MemoryNetwork() });
  await using first = buildServer({ name: "a", listen: [{ transport, address: "memory:x" }] });
  await first.start();
  const second = buildServer({ name: "b", listen: [{ transport, address: "memory:x" }] });
  await expect(second.start()).rejects.toMatchObject({
    code: "already_exists",
    message: expect.stringMatching(/service b cannot listen at memory:x.*another address/),
  });
  await second.close();
});
