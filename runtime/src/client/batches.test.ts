import { afterEach, describe, expect, test, vi } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { registerEcho } from "../../../test/support/server.ts";
import { inBatches } from "../call/batches.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { createSelector } from "../selector/registry-selector.ts";
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

async function start(transport: Transport, address: string) {
  // Not the network of the process, on which other tests may have left servers.
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const server = buildServer({ name: "echo", listen: [{ transport, address }], registry });
  registerEcho(server);
  await server.start();
  const selector = createSelector({ registry });
  const client = buildClient({ selector, transports: [transport] });
  ends.push(
    () => registry.close(),
    () => selector.close(),
    () => server.close(),
    () => client.close(),
  );
  return { client, server };
}

async function indexes(batches: AsyncIterable<readonly { readonly index: number }[]>) {
  const found: number[][] = [];
  for await (const batch of batches) found.push(batch.map(({ index }) => index));
  return found;
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe.each([
  ["memory", () => memoryTransport(), "memory:0"],
  ["tcp", () => tcpTransport(), "127.0.0.1:0"],
  ["grpc", () => httpTransport({ protocol: "grpc" }), "127.0.0.1:0"],
] as const)("a stream over %s that is read in batches", (_name, transport, address) => {
  test("has every message once, in order", async () => {
    const { client } = await start(transport(), address);
    const batches = await indexes(inBatches(client.serverStream(echo.repeat, { count: 1_000 })));
    expect(batches.flat()).toEqual(upTo(1_000));
    for (const batch of batches) expect(batch).not.toEqual([]);
  });

  test("has batches of at most the given size", async () => {
    const { client } = await start(transport(), address);
    const stream = client.serverStream(echo.repeat, { count: 100 });
    const batches = await indexes(inBatches(stream, { maxMessages: 7 }));
    expect(batches.flat()).toEqual(upTo(100));
    expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(7);
  });

  test("fails after the messages that arrived before its error", async () => {
    const { client } = await start(transport(), address);
    const request = { count: 20, fail: "not_found" };
    const found: number[] = [];
    const reading = (async () => {
      for await (const batch of inBatches(client.serverStream(echo.repeat, request))) {
        found.push(...batch.map(({ index }) => index));
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "not_found" });
    expect(found).toEqual(upTo(20));
  });

  test("ends on the server when the reader leaves the loop", async () => {
    const { client, server } = await start(transport(), address);
    const stream = client.serverStream(echo.repeat, { count: 1_000_000, delayMs: 1 });
    for await (const _ of inBatches(stream)) break;
    await vi.waitFor(() => expect(server.stats.inFlight).toBe(0), 10_000);
  });
});

test("messages that arrive together over TCP are one batch", async () => {
  const { client } = await start(tcpTransport(), "127.0.0.1:0");
  const stream = client.serverStream(echo.repeat, { count: 1_000 });
  const batches = await indexes(inBatches(stream));
  expect(batches.length).toBeLessThan(500);
});

test("a generator is read one message at a time", async () => {
  async function* numbers() {
    yield* [1, 2, 3];
  }
  const found: (readonly number[])[] = [];
  for await (const batch of inBatches(numbers())) found.push(batch);
  expect(found).toEqual([[1], [2], [3]]);
});

test("a size that is not a count is refused", () => {
  expect(() => inBatches((async function* () {})(), { maxMessages: 0 })).toThrow(/maxMessages/);
});
