import { afterEach, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { buildServer } from "../server/rpc-server.ts";
import { createClient } from "../service/create-client.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

test.each([
  ["native", "tcp"],
  ["grpc", "http"],
  ["mucp", "go-micro"],
])("a node that announces %s in its metadata is called by it", async (protocol, transport) => {
  const server = buildServer({
    name: "echo",
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
  });
  open.push(server);
  server.unary(echo.echo, (_, { peer }) => ({ text: peer.transport }));
  server.serverStream(echo.repeat, async function* (_, { peer }) {
    yield { text: peer.transport };
  });
  await server.start();
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  open.push(registry);
  await registry.register({
    id: protocol,
    service: "echo",
    version: "1",
    address: server.addresses[0]!,
    metadata: { protocol },
    endpoints: [],
  });
  const client = createClient({ registry, environment: {} });
  open.push(client);
  expect((await client.unary(echo.echo, {})).text).toBe(transport);
  for await (const { text } of client.serverStream(echo.repeat, {})) expect(text).toBe(transport);
});
