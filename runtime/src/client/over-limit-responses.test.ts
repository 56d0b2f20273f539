import {
  createClient,
  goMicroTransport,
  httpTransport,
  memoryRegistry,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../../../test/contract/transport-fixture.ts";
import { echo } from "../../../test/support/echo.ts";
import { errorOf } from "../../../test/support/server.ts";

/**
 * A response over the client's limit would be as large at the next attempt, so it is not retried.
 */

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const limits = { maxMessageBytes: 100_000 };
const large = "a".repeat(200_000);

const ways: Record<string, (address: string) => [Transport, string]> = {
  native: (address) => [tcpTransport(limits), address],
  gRPC: (address) => [httpTransport(limits), `http://${address}`],
  "gRPC-Web": (address) => [
    httpTransport({ ...limits, protocol: "grpc-web" }),
    `http://${address}`,
  ],
  "gRPC-Web over HTTP/1.1": (address) => [
    httpTransport({ ...limits, protocol: "grpc-web", httpVersion: "1.1" }),
    `http://${address}`,
  ],
  Connect: (address) => [httpTransport({ ...limits, protocol: "connect" }), `http://${address}`],
  "Connect in JSON": (address) => [
    httpTransport({ ...limits, protocol: "connect", encoding: "json", httpVersion: "1.1" }),
    `http://${address}`,
  ],
  "go-micro": (address) => [goMicroTransport(limits), `mucp://${address}`],
};

async function target(way: (address: string) => [Transport, string]) {
  const seen = { calls: 0 };
  const dispatcher = answering({
    unary: () => {
      seen.calls++;
      return { text: large };
    },
    async *stream(requests) {
      for await (const _ of requests) break;
      seen.calls++;
      yield { text: "small" };
      yield { text: large };
    },
  });
  const listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
  open.push(listener);
  const [transport, address] = way(listener.address);
  const client = createClient({ registry: memoryRegistry(), transports: [transport] });
  open.push(client);
  return { client, address, seen };
}

describe.each(Object.entries(ways))("%s", (_, way) => {
  test("a response over the limit is resource_exhausted, and not retried", async () => {
    const { client, address, seen } = await target(way);
    const error = await errorOf(client.unary(echo.echo, { text: "a" }, { address }));
    expect(error).toMatchObject({ code: "resource_exhausted" });
    expect(error.message).toMatch(/100000/);
    expect(seen.calls).toBe(1);
  });

  test("a message of a stream over the limit is resource_exhausted, and not retried", async () => {
    const { client, address, seen } = await target(way);
    const texts: string[] = [];
    const reading = (async () => {
      for await (const { text } of client.serverStream(echo.repeat, {}, { address }))
        texts.push(text);
    })();
    expect(await errorOf(reading)).toMatchObject({ code: "resource_exhausted" });
    expect(texts).toEqual(["small"]);
    expect(seen.calls).toBe(1);
  });
});
