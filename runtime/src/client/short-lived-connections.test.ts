import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import {
  constants,
  createServer as createHttp2Server,
  type Http2Server,
  type Http2Session,
} from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  createClient,
  goMicroTransport,
  httpTransport,
  memoryRegistry,
  silentLogger,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../../../test/contract/transport-fixture.ts";
import { EchoService } from "../../../test/gen/micro/test/v1/echo_pb.ts";
import { type EchoMethod, echo } from "../../../test/support/echo.ts";
import { long } from "../../../test/support/long.ts";
import { FaultProxy } from "../../../test/support/proxy.ts";
import { errorOf } from "../../../test/support/server.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const calls = long ? 1_200 : 400;
const everyMs = 5;
/** About 300 ms. */
const callsBetweenCuts = 60;

const routes = (router: ConnectRouter) =>
  router.service(EchoService, { echo: ({ text }) => ({ text }), once: ({ text }) => ({ text }) });

/** Makes one call every 5 ms, and returns the errors of those that failed. */
async function failuresOf(
  transport: Transport,
  address: string,
  method: EchoMethod,
  cut: () => void = () => {},
): Promise<readonly string[]> {
  const client = createClient({
    registry: memoryRegistry(),
    transports: [transport],
    logger: silentLogger,
  });
  ends.push(() => client.close());
  const failures: string[] = [];
  const open = new Set<Promise<unknown>>();
  let ended = 0;
  for (let call = 0; call < calls; call++) {
    const done = client
      .unary(method, { text: "hi" }, { address })
      .catch((error: Error) => failures.push(error.message))
      .finally(() => {
        open.delete(done);
        // By progress and not by time, so that a busy machine has time to dial between two cuts.
        if (++ended % callsBetweenCuts === 0) cut();
      });
    open.add(done);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  await Promise.all(open);
  return failures;
}

/**
 * An HTTP/2 server that ends each connection with a GOAWAY after this many requests, as nginx does.
 */
async function endingAfter(requests: number): Promise<{ address: string; sessions: () => number }> {
  let sessions = 0;
  const server = createHttp2Server(connectNodeAdapter({ routes }));
  server.on("session", (session) => {
    sessions++;
    let served = 0;
    session.on("error", () => undefined);
    session.on("stream", (stream) => {
      if (++served === requests) stream.once("close", () => session.close());
    });
  });
  return { address: await listen(server), sessions: () => sessions };
}

/**
 * An HTTP/2 server that responds to this many requests of each connection, and whose GOAWAY says
 * that it has not seen the others.
 */
async function respondingTo(
  requests: number,
): Promise<{ address: string; sessions: () => number }> {
  let sessions = 0;
  const taken = new Map<unknown, number>();
  const respond = connectNodeAdapter({ routes });
  const server = createHttp2Server((request, response) => {
    const { session } = request.stream;
    const number = (taken.get(session) ?? 0) + 1;
    taken.set(session, number);
    if (number > requests) return;
    if (number === requests) session?.goaway(constants.NGHTTP2_NO_ERROR, request.stream.id);
    respond(request, response);
  });
  server.on("session", (session) => {
    sessions++;
    session.on("error", () => undefined);
    session.on("stream", (stream) => stream.on("error", () => undefined));
  });
  return { address: await listen(server), sessions: () => sessions };
}

/**
 * A server that responds to the first request of its first connection, and to the next with a
 * GOAWAY.
 */
async function goingAwayWith(code: number): Promise<string> {
  let first: Http2Session | undefined;
  const respond = connectNodeAdapter({ routes });
  const server = createHttp2Server((request, response) => {
    if (request.stream.session !== first || request.stream.id === 1) respond(request, response);
    else if (!first?.closed) first?.goaway(code, 1);
  });
  server.on("session", (session) => {
    first ??= session;
    session.on("error", () => undefined);
    session.on("stream", (stream) => stream.on("error", () => undefined));
  });
  return listen(server);
}

async function listen(server: Http2Server | Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/**
 * A proxy in front of an echo server of this runtime. @param before awaited before each response
 */
async function proxied(before?: () => Promise<void>): Promise<FaultProxy> {
  const dispatcher = answering({
    unary: async ({ text }) => {
      await before?.();
      return { text };
    },
  });
  const listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
  ends.push(() => listener.close());
  const proxy = await FaultProxy.start(Number(listener.address.split(":").at(-1)));
  ends.push(() => proxy.close());
  return proxy;
}

const connect1 = () => httpTransport({ protocol: "connect", httpVersion: "1.1" });

describe("calls, 200 a second", () => {
  test("all succeed with servers that end each HTTP/2 connection after 100 requests", async () => {
    const failures = ["grpc", "connect"].map(async (protocol) => {
      const { address, sessions } = await endingAfter(100);
      const transport = httpTransport({ protocol: protocol as "grpc" | "connect" });
      const failed = await failuresOf(transport, address, echo.once);
      // A busy client may have sent more requests by the time that it learns of the end.
      expect(sessions()).toBeGreaterThan(1);
      return failed;
    });
    expect(await Promise.all(failures)).toEqual([[], []]);
  }, 120_000);

  test("all succeed with a server that ends each HTTP/1.1 connection after 100 requests", async () => {
    const server = createHttp1Server(connectNodeAdapter({ routes }));
    server.maxRequestsPerSocket = 100;
    expect(await failuresOf(connect1(), await listen(server), echo.once)).toEqual([]);
  }, 120_000);

  test.each([
    ["native", tcpTransport(), ""],
    ["gRPC", httpTransport(), "http://"],
    ["Connect by HTTP/2", httpTransport({ protocol: "connect" }), "http://"],
    ["Connect by HTTP/1.1", connect1(), "http://"],
  ] as const)(
    "that may be repeated lose none to a proxy that cuts connections every 300 ms: %s",
    async (_, transport, scheme) => {
      const proxy = await proxied();
      const address = `${scheme}127.0.0.1:${proxy.port}`;
      const failures = await failuresOf(transport, address, echo.echo, () => proxy.cut());
      expect(failures).toEqual([]);
      expect(proxy.cuts).toBeGreaterThanOrEqual(calls / callsBetweenCuts - 5);
    },
    120_000,
  );
});

describe("connections that end with their first call, before a response", () => {
  /**
   * Makes ten calls, each of which the server ends by cutting the connection. Returns how often the
   * address was dialled.
   */
  async function dialsOfCutCalls(transport: Transport, scheme: string): Promise<number> {
    const proxy = await proxied(async () => {
      proxy.cut();
      await new Promise(() => {});
    });
    const address = `${scheme}127.0.0.1:${proxy.port}`;
    let dials = 0;
    const counting = Object.create(transport, {
      dial: {
        value: (...dial: Parameters<Transport["dial"]>) => {
          dials++;
          return transport.dial(...dial);
        },
      },
    }) as Transport;
    const client = createClient({ transports: [counting], logger: silentLogger });
    ends.push(() => client.close());
    for (let call = 0; call < 10; call++) {
      const error = await errorOf(client.unary(echo.once, {}, { address, retry: false }));
      expect(error).toMatchObject({ code: "unavailable" });
    }
    return dials;
  }

  test.each([
    ["native", tcpTransport(), ""],
    ["gRPC", httpTransport(), "http://"],
  ] as const)(
    "are dialled at once where a handshake establishes them: %s",
    async (_, transport, scheme) => {
      expect(await dialsOfCutCalls(transport, scheme)).toBe(10);
    },
  );

  test.each([
    ["Connect by HTTP/1.1", connect1(), "http://"],
    ["go-micro", goMicroTransport(), ""],
  ] as const)(
    "are backed off from where only a response establishes them: %s",
    async (_, transport, scheme) => {
      expect(await dialsOfCutCalls(transport, scheme)).toBeLessThan(5);
    },
  );
});

describe("calls beyond the last stream of a GOAWAY", () => {
  test.each([
    ["without an error", constants.NGHTTP2_NO_ERROR],
    ["with an error code", constants.NGHTTP2_ENHANCE_YOUR_CALM],
  ])(
    "are all resent, whatever their number: %s",
    async (_, code) => {
      const client = createClient({
        registry: memoryRegistry(),
        transports: [httpTransport()],
        logger: silentLogger,
      });
      ends.push(() => client.close());
      const address = await goingAwayWith(code);
      await client.unary(echo.once, { text: "first" }, { address });
      const results = await Promise.allSettled(
        Array.from({ length: 400 }, (__, call) =>
          client.unary(echo.once, { text: `${call}` }, { address, retry: false }),
        ),
      );
      expect(results.filter(({ status }) => status === "rejected")).toEqual([]);
    },
    60_000,
  );

  test.each(["grpc", "connect"] as const)(
    "are sent again until a connection takes them, however many it takes: %s",
    async (protocol) => {
      const client = createClient({
        registry: memoryRegistry(),
        transports: [httpTransport({ protocol })],
        logger: silentLogger,
      });
      ends.push(() => client.close());
      const { address, sessions } = await respondingTo(10);
      const results = await Promise.allSettled(
        Array.from({ length: 80 }, (_, call) =>
          client.unary(echo.once, { text: `${call}` }, { address }),
        ),
      );
      expect(results.filter(({ status }) => status === "rejected")).toEqual([]);
      expect(sessions()).toBeGreaterThanOrEqual(8);
    },
    60_000,
  );
});
