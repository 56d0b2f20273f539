import { afterEach, expect, test } from "vitest";
import { type EchoHandler, echo, echoHandler } from "../../../test/support/echo.ts";
import { registerEcho } from "../../../test/support/server.ts";
import { MicroError } from "../base/error.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { createSelector } from "../selector/registry-selector.ts";
import { buildServer } from "../server/rpc-server.ts";
import { httpTransport } from "../transport/http/transport.ts";
import { memoryTransport } from "../transport/memory/transport.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import type { Client, ClientInterceptor } from "./client.ts";
import { buildClient } from "./rpc-client.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const failing: EchoHandler = {
  ...echoHandler(),
  echo: () => Promise.reject(new MicroError("not_found", "no such user")),
  collect: () => Promise.reject(new TypeError("oops")),
  async *repeat() {
    yield {};
    await new Promise(setImmediate);
    throw new MicroError("aborted", "no more");
  },
};

async function orderUnary(client: Client): Promise<unknown> {
  return await client.unary(echo.echo, {});
}

async function orderStream(client: Client): Promise<void> {
  for await (const _ of client.serverStream(echo.repeat, {}));
}

async function orderClientStream(client: Client): Promise<unknown> {
  return await client.clientStream(echo.collect, [{}]);
}

async function orderNobody(client: Client): Promise<unknown> {
  return await client.unary(echo.echo, {}, { service: "absent", timeoutMs: 50 });
}

const passOn: ClientInterceptor = {
  unary: (_call, request, next) => next(request),
  stream: (_call, requests, next) => next(requests),
};

test.each([
  ["memory", () => memoryTransport(), "memory:0"],
  ["tcp", () => tcpTransport(), "127.0.0.1:0"],
  ["grpc", () => httpTransport({ protocol: "grpc" }), "127.0.0.1:0"],
] as const)("the stack of a failed call shows who made it: %s", async (_name, make, address) => {
  const transport = make();
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const server = buildServer({ name: "echo", listen: [{ transport, address }], registry });
  registerEcho(server, failing);
  await server.start();
  const selector = createSelector({ registry });
  ends.push(
    () => registry.close(),
    () => selector.close(),
    () => server.close(),
  );
  for (const interceptors of [[], [passOn]]) {
    const client = buildClient({ selector, transports: [transport], interceptors });
    ends.push(() => client.close());
    for (const order of [orderUnary, orderStream, orderClientStream, orderNobody]) {
      const error = await order(client).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(MicroError);
      expect((error as MicroError).stack).toContain(order.name);
    }
  }
});
