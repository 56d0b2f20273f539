import { afterEach, describe, expect, test, vi } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { registerEcho } from "../../../test/support/server.ts";
import type { MicroError } from "../base/error.ts";
import { goMicroTransport } from "../go-micro/transport.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { createSelector } from "../selector/registry-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { buildServer } from "../server/rpc-server.ts";
import { httpTransport } from "../transport/http/transport.ts";
import { memoryTransport } from "../transport/memory/transport.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import type { Transport } from "../transport/transport.ts";
import { buildClient } from "./rpc-client.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A client of one service over this transport; its selector records how each call ended. */
async function start(transport: Transport, address: string) {
  // Not the network of the process, on which other tests may have left servers.
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const server = buildServer({ name: "echo", listen: [{ transport, address }], registry });
  registerEcho(server);
  await server.start();
  const selector = createSelector({ registry });
  const reports: (MicroError | undefined)[] = [];
  const client = buildClient({ selector: reporting(selector, reports), transports: [transport] });
  ends.push(
    () => registry.close(),
    () => selector.close(),
    () => server.close(),
    () => client.close(),
  );
  return { client, reports };
}

function reporting(selector: Selector, reports: (MicroError | undefined)[]): Selector {
  return {
    name: selector.name,
    onNodeChange: (listener) => selector.onNodeChange(listener),
    close: () => selector.close(),
    [Symbol.asyncDispose]: () => selector.close(),
    select: async (service, options) => {
      const candidate = await selector.select(service, options);
      return {
        node: candidate.node,
        inFlight: candidate.inFlight,
        report: (latencyMs, error) => {
          reports.push(error);
          candidate.report(latencyMs, error);
        },
      };
    },
  };
}

describe.each([
  ["memory", () => memoryTransport(), "memory:0"],
  ["tcp", () => tcpTransport(), "127.0.0.1:0"],
  ["grpc", () => httpTransport({ protocol: "grpc" }), "127.0.0.1:0"],
  ["connect", () => httpTransport({ protocol: "connect" }), "127.0.0.1:0"],
  ["go-micro", () => goMicroTransport(), "127.0.0.1:0"],
] as const)("a stream over %s whose reader has stopped reading", (_name, transport, address) => {
  test.each([
    ["server-streaming", "repeat"],
    ["bidirectional", "chat"],
  ] as const)("is over at its deadline for selector and client: %s", async (_kind, rpc) => {
    const { client, reports } = await start(transport(), address);
    const options = { timeoutMs: 600 };
    const stream =
      rpc === "repeat"
        ? client.serverStream(echo.repeat, { count: 2, delayMs: 60_000 }, options)
        : client.bidi(echo.chat, firstThenNothing(), options);
    const reader = stream[Symbol.asyncIterator]();
    if (rpc === "chat") await reader.next();
    else void reader.next().catch(() => {});
    await vi.waitFor(
      () => expect(reports.map((it) => it?.code)).toEqual(["deadline_exceeded"]),
      10_000,
    );
    // Waits only for open calls: there are none.
    await client.close(600_000);
  });

  test("ends when the other side has ended it", async () => {
    const { client, reports } = await start(transport(), address);
    const reader = client.serverStream(echo.repeat, { count: 1 })[Symbol.asyncIterator]();
    await reader.next();
    await vi.waitFor(() => expect(reports).toEqual([undefined]), 10_000);
    await client.close(600_000);
    expect((await reader.next()).done).toBe(true);
  });

  test.each([
    ["ended it", ""],
    ["failed", "not_found"],
  ] as const)("is over when the other side has %s after unread messages", async (_, code) => {
    const { client, reports } = await start(transport(), address);
    const request = { count: 20, fail: code };
    const reader = client.serverStream(echo.repeat, request)[Symbol.asyncIterator]();
    await reader.next();
    await vi.waitFor(
      () => expect(reports.map((it) => it?.code)).toEqual([code || undefined]),
      10_000,
    );
    await client.close(600_000);
    for (let index = 1; index < 20; index++) {
      expect((await reader.next()).value?.index).toBe(index);
    }
    if (code === "") expect((await reader.next()).done).toBe(true);
    else await expect(reader.next()).rejects.toMatchObject({ code });
  });
});

async function* firstThenNothing() {
  yield { text: "first" };
  await new Promise(() => {});
}
