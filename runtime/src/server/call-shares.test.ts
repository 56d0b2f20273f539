import { connect, type Socket } from "node:net";
import {
  createClient,
  goMicroTransport,
  httpTransport,
  type Server,
  silentLogger,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { errorOf } from "../../../test/support/server.ts";
import { buildServer } from "./rpc-server.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server whose handlers of `Once` wait until the test ends, with its port. */
async function serve(limit: number): Promise<{ server: Server; port: number }> {
  const server = buildServer({
    name: "echo",
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
    maxConcurrentCalls: limit,
    logger: silentLogger,
  });
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  server.unary(echo.once, async ({ text }) => {
    await released;
    return { text };
  });
  server.unary(echo.echo, ({ text }) => ({ text }));
  await server.start();
  ends.push(() => server.close());
  ends.push(() => release());
  return { server, port: Number(server.addresses[0]?.split(":").at(-1)) };
}

function clientOf(transport: Transport) {
  const client = createClient({ transports: [transport], logger: silentLogger });
  ends.push(() => client.close());
  return client;
}

/** One client connection that occupies as many calls as it gets. Returns how many were refused. */
type Occupy = (port: number, calls: number) => Promise<number>;

async function occupyBy(transport: Transport, address: string, calls: number): Promise<number> {
  const client = clientOf(transport);
  let refused = 0;
  for (let call = 0; call < calls; call++) {
    client.unary(echo.once, { text: "" }, { address, retry: { attempts: 1 } }).catch((error) => {
      if (error.code === "resource_exhausted") refused++;
    });
  }
  // Refused calls are retried, each time after a push-back.
  await expect.poll(() => refused, { timeout: 15_000 }).toBeGreaterThan(0);
  return refused;
}

/** Sends requests one after another on one connection, without waiting for responses. */
async function pipeline(port: number, requests: readonly string[]): Promise<void> {
  const socket: Socket = connect({ host: "127.0.0.1", port });
  ends.push(() => socket.destroy());
  socket.on("error", () => undefined).resume();
  socket.write(requests.join(""));
}

const path = "/micro.test.v1.EchoService/Once";
const post = (where: string, lines: string) =>
  `POST ${where} HTTP/1.1\r\nHost: localhost\r\n${lines}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;

const occupants: readonly (readonly [string, Occupy])[] = [
  ["native", (port, calls) => occupyBy(tcpTransport(), `127.0.0.1:${port}`, calls)],
  ["gRPC", (port, calls) => occupyBy(httpTransport(), `http://127.0.0.1:${port}`, calls)],
  [
    "HTTP/1.1, pipelined",
    async (port, calls) => {
      await pipeline(
        port,
        Array.from({ length: calls }, () => post(path, "")),
      );
      return 0;
    },
  ],
  [
    "go-micro among other requests of HTTP/1.1",
    async (port, calls) => {
      const lines = "Micro-Service: echo\r\nMicro-Endpoint: EchoService.Once\r\nMicro-Id: 1\r\n";
      const ready = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
      await pipeline(port, [ready, ...Array.from({ length: calls }, () => post("/", lines))]);
      return 0;
    },
  ],
];

describe("one connection", () => {
  test.each(occupants)("cannot occupy all calls of a server: %s", async (_, occupy) => {
    const { server, port } = await serve(100);
    await occupy(port, 200);
    // Two of a hundred places are reserved.
    await expect.poll(() => server.stats.inFlight).toBe(98);
    for (const [transport, address] of [
      [tcpTransport(), `127.0.0.1:${port}`],
      [httpTransport(), `http://127.0.0.1:${port}`],
      [goMicroTransport(), `127.0.0.1:${port}`],
    ] as const) {
      const { text } = await clientOf(transport).unary(echo.echo, { text: "hi" }, { address });
      expect(text).toBe("hi");
    }
    expect(server.stats.refused).toBeGreaterThan(0);
  });

  test("may have a thousand calls at the default limit", async () => {
    const { server, port } = await serve(1_024);
    const client = clientOf(tcpTransport());
    for (let call = 0; call < 1_000; call++) {
      client
        .unary(echo.once, { text: "" }, { address: `127.0.0.1:${port}` })
        .catch(() => undefined);
    }
    await expect.poll(() => server.stats.inFlight).toBe(1_000);
    expect(server.stats.refused).toBe(0);
  });

  test("gets an error that says why a call is refused, and may retry", async () => {
    const { server, port } = await serve(100);
    const client = clientOf(tcpTransport());
    const address = `127.0.0.1:${port}`;
    for (let call = 0; call < 98; call++) {
      client.unary(echo.once, { text: "" }, { address }).catch(() => undefined);
    }
    await expect.poll(() => server.stats.inFlight).toBe(98);
    const error = await errorOf(
      client.unary(echo.once, { text: "" }, { address, retry: { attempts: 1 }, timeoutMs: 50 }),
    );
    expect(error).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
    expect(error.message).toContain("its connection has 98 of the 98 calls at work");
  });
});

test("connections share the calls of a server when they are scarce", async () => {
  const { server, port } = await serve(100);
  const address = `127.0.0.1:${port}`;
  const options = { address, retry: { attempts: 1 }, timeoutMs: 5_000 };
  const [first, second] = [clientOf(tcpTransport()), clientOf(tcpTransport())];
  const occupy = (client: typeof first, calls: number) => {
    for (let call = 0; call < calls; call++) {
      client.unary(echo.once, { text: "" }, options).catch(() => undefined);
    }
  };
  occupy(first, 70);
  await expect.poll(() => server.stats.inFlight).toBe(70);
  occupy(second, 5);
  await expect.poll(() => server.stats.inFlight).toBe(75);
  const error = await errorOf(first.unary(echo.once, { text: "" }, { ...options, timeoutMs: 50 }));
  expect(error.message).toContain("its connection has 70 of the 75 calls at work");
  occupy(second, 20);
  await expect.poll(() => server.stats.inFlight).toBe(95);
});
