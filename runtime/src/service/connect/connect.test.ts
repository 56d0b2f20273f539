import { Code, createClient as createConnectClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { EchoService } from "../../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo, echoHandler } from "../../../../test/support/echo.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../../registry/memory/registry.ts";
import { buildServer } from "../../server/rpc-server.ts";
import { tcpTransport } from "../../transport/tcp/transport.ts";
import { connectRoutes, connectTransport } from "../connect-adapter.ts";
import { createClient } from "../create-client.ts";

async function* of<T>(...values: T[]): AsyncGenerator<T> {
  yield* values;
}

test("a Connect client calls through our transport: discovery, all kinds, errors, metadata", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const handler = echoHandler("one");
  const server = buildServer({
    name: "echo",
    registry,
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
    drainDelayMs: 0,
  });
  server.unary(echo.echo, (request, context) => {
    context.responseMetadata.set("x-served", "here");
    context.trailers.set("x-cost", context.requestMetadata.get("x-tenant") ?? "");
    return handler.echo(request, context);
  });
  server.serverStream(echo.repeat, (request, context) => handler.repeat(request, context));
  server.clientStream(echo.collect, (requests, context) => handler.collect(requests, context));
  server.bidi(echo.chat, (requests, context) => handler.chat(requests, context));
  await server.start();
  const client = createClient({ registry, environment: {} });
  const connect = createConnectClient(
    EchoService,
    connectTransport(client, { service: () => "echo" }),
  );
  let trailer: Headers | undefined;
  const answer = await connect.echo(
    { text: "hi" },
    { headers: { "x-tenant": "t" }, onTrailer: (it) => (trailer = it) },
  );
  expect(answer).toMatchObject({ text: "hi", server: "one" });
  expect(trailer?.get("x-cost")).toBe("t");
  const indexes: number[] = [];
  for await (const { index } of connect.repeat({ count: 3 })) indexes.push(index);
  expect(indexes).toEqual([0, 1, 2]);
  expect((await connect.collect(of({ text: "a" }, { text: "b" }))).text).toBe("a b");
  const texts: string[] = [];
  for await (const { text } of connect.chat(of({ text: "a" }, { text: "b" }))) texts.push(text);
  expect(texts).toEqual(["a", "b"]);
  await expect(connect.echo({ text: "x", fail: "not_found" })).rejects.toMatchObject({
    code: Code.NotFound,
    rawMessage: "told to fail: x",
  });
  await expect(connect.echo({ delayMs: 5_000 }, { timeoutMs: 30 })).rejects.toMatchObject({
    code: Code.DeadlineExceeded,
  });
  await client.close();
  await server.close();
});

test("serves a Connect router on our port, next to our handlers", async () => {
  const server = buildServer({
    name: "mixed",
    listen: [
      {
        transport: tcpTransport({
          http: {
            routes: connectRoutes((router) =>
              router.service(EchoService, { once: ({ text }) => ({ text: `router ${text}` }) }),
            ),
          },
        }),
        address: "127.0.0.1:0",
      },
    ],
  });
  await server.start();
  const connect = createConnectClient(
    EchoService,
    createConnectTransport({ baseUrl: `http://${server.addresses[0]}`, httpVersion: "1.1" }),
  );
  expect((await connect.once({ text: "a" })).text).toBe("router a");
  await server.close();
});

test("a generated client calls a server by URL, with the default parts", async () => {
  const server = buildServer({
    name: "echo",
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
  });
  server.unary(echo.echo, ({ text }, { peer }) => ({ text: `${text} by ${peer.transport}` }));
  await server.start();
  const client = createClient({ environment: {} });
  const address = `http://${server.addresses[0]}`;
  expect((await client.unary(echo.echo, { text: "hi" }, { address })).text).toBe("hi by http");
  await client.close();
  await server.close();
});
