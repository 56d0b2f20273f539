import { MicroError } from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  types,
} from "../../../../test/hostile/raw-http2.ts";
import {
  FramePeer,
  fields,
  ok,
  type Received,
  type TestClient,
  TestServer,
} from "../../../../test/support/http2-peers.ts";
import { errorCode } from "./error-code.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Stream } from "./stream.ts";

const open: Disposable[] = [];
afterEach(() => {
  for (const it of open.splice(0).reverse()) it[Symbol.dispose]();
});

async function pair(
  limits: Partial<Http2Limits> = {},
  prepare?: (request: Received) => void,
): Promise<{ server: TestServer; client: TestClient }> {
  const server = await TestServer.start(limits, prepare);
  open.push(server);
  const client = server.connect(limits);
  open.push(client);
  await client.connected;
  return { server, client };
}

const bytesOf = (length: number) => new Uint8Array(length).map((_, at) => at * 7 + (at >> 8));

function respondWith(body: Uint8Array, ...trailers: readonly (readonly [string, string])[]) {
  return (stream: Http2Stream) => {
    stream.head(undefined, ok);
    stream.send(body, 0, body.length, trailers.length === 0);
    if (trailers.length > 0) stream.trailers(undefined, fields(...trailers));
  };
}

test("a request and its response arrive completely", async () => {
  const { server, client } = await pair({}, (request) => {
    request.respond = respondWith(bytesOf(10), ["grpc-status", "0"]);
  });
  const response = client.request("/a", false, ["x-a", "1"]);
  response.stream!.send(bytesOf(5), 0, 5);
  response.stream!.trailers(undefined, fields(["x-b", "2"]));
  await expect.poll(() => response.ended).toBe(true);
  const [request] = server.requests;
  expect(request!.head).toMatchObject({ method: "POST", scheme: "http", path: "/a" });
  expect(request!.list!.get("x-a")).toBe("1");
  expect([...request!.body]).toEqual([...bytesOf(5)]);
  expect(request!.trailers!.get("x-b")).toBe("2");
  expect(response.head!.status).toBe(200);
  expect([...response.body]).toEqual([...bytesOf(10)]);
  expect(response.trailers!.get("grpc-status")).toBe("0");
  expect(client.connection.openStreams).toBe(0);
  await expect.poll(() => server.connections[0]!.openStreams).toBe(0);
});

test("headers larger than a frame arrive", async () => {
  const { server, client } = await pair({}, (request) => {
    request.respond = respondWith(bytesOf(0));
  });
  const value = "v".repeat(9_000);
  client.request("/", true, ["x-a", `${value}a`], ["x-b", `${value}b`], ["x-c", `${value}c`]);
  await expect.poll(() => server.requests[0]?.list?.get("x-c")).toBe(`${value}c`);
});

test("the writes of one turn are a single socket write", async () => {
  const { server, client } = await pair({}, (request) => {
    request.respond = respondWith(bytesOf(10), ["grpc-status", "0"]);
  });
  const before = client.connection.writer.flushes;
  const responses = Array.from({ length: 50 }, () => client.request());
  await expect.poll(() => responses.every(({ ended }) => ended)).toBe(true);
  expect(client.connection.writer.flushes - before).toBe(1);
  expect(server.requests).toHaveLength(50);
});

describe("flow control", () => {
  test("a body far larger than all windows arrives, both ways at once", async () => {
    const body = bytesOf(3_000_000);
    const { client } = await pair({ streamWindowBytes: 20_000 }, (request) => {
      request.respond = (stream) => respondWith(request.body)(stream);
    });
    const responses = Array.from({ length: 3 }, () => {
      const response = client.request("/", false);
      response.stream!.send(body, 0, body.length, true);
      return response;
    });
    await expect.poll(() => responses.every(({ ended }) => ended), { timeout: 60_000 }).toBe(true);
    for (const response of responses) {
      expect(Buffer.compare(response.body, body)).toBe(0);
    }
  });

  test("a receiver that does not consume stops its sender, and not the others", async () => {
    const streamWindowBytes = 100_000;
    const { server, client } = await pair({ streamWindowBytes }, (request) => {
      request.consumes = request.head!.path !== "/slow";
      request.respond = respondWith(bytesOf(1));
    });
    const body = bytesOf(1_000_000);
    const slow = client.request("/slow", false);
    expect(slow.stream!.send(body, 0, body.length, true)).toBe(false);
    const fast = client.request("/fast", false);
    fast.stream!.send(body, 0, body.length, true);
    await expect.poll(() => fast.ended).toBe(true);
    const [request] = server.requests;
    expect(request!.body.length).toBe(streamWindowBytes);
    expect(server.connections[0]!.unreadBytes).toBe(streamWindowBytes);
    request!.consumes = true;
    request!.stream!.consume(streamWindowBytes);
    await expect.poll(() => slow.ended).toBe(true);
    expect(server.connections[0]!.unreadBytes).toBe(0);
  });

  test("the connection stops its peer when receivers together leave too much", async () => {
    const limits = {
      streamWindowBytes: 100_000,
      connectionWindowBytes: 200_000,
      maxUnreadBytes: 300_000,
    };
    const { server, client } = await pair(limits, (request) => {
      request.consumes = false;
    });
    const body = bytesOf(100_000);
    for (let count = 0; count < 10; count++) {
      client.request("/", false).stream!.send(body, 0, body.length);
    }
    const unread = () => server.connections[0]!.unreadBytes;
    await expect.poll(unread).toBeGreaterThanOrEqual(400_000);
    expect(unread()).toBeLessThanOrEqual(500_000);
    for (const request of server.requests) request.stream!.reset(errorCode.cancel);
    await expect.poll(unread).toBeLessThan(300_000);
  });

  test("waiting streams take turns", async () => {
    const { server, client } = await pair({ connectionWindowBytes: 65_535 });
    const body = bytesOf(500_000);
    const first = client.request("/first", false);
    first.stream!.send(body, 0, body.length, true);
    const second = client.request("/second", false);
    second.stream!.send(body, 0, 30_000, true);
    await expect.poll(() => server.requests[1]?.ended).toBe(true);
    expect(server.requests[0]!.body.length).toBeLessThan(200_000);
  });

  test("a sender is notified when it may continue, and trailers wait for the data", async () => {
    const { server, client } = await pair({ streamWindowBytes: 70_000 }, (request) => {
      request.consumes = false;
    });
    const request = client.request("/", false);
    expect(request.stream!.send(bytesOf(60_000), 0, 60_000)).toBe(true);
    expect(request.stream!.send(bytesOf(60_000), 0, 60_000)).toBe(false);
    request.stream!.trailers(undefined, fields(["x-a", "1"]));
    await expect.poll(() => server.requests[0]?.body.length).toBe(70_000);
    expect(server.requests[0]!.ended).toBe(false);
    server.requests[0]!.consumes = true;
    server.requests[0]!.stream!.consume(70_000);
    await expect.poll(() => server.requests[0]!.trailers?.get("x-a")).toBe("1");
    expect(server.requests[0]!.body.length).toBe(120_000);
    const other = client.request("/", false);
    expect(other.stream!.send(bytesOf(80_000), 0, 80_000)).toBe(false);
    await expect.poll(() => server.requests[1]?.body.length).toBe(70_000);
    server.requests[1]!.stream!.consume(70_000);
    await expect.poll(() => other.writable).toBe(1);
  });

  test("a sender that has filled the socket continues when the peer reads again", async () => {
    const windowBytes = 64 * 1024 * 1024;
    const { server, client } = await pair({
      streamWindowBytes: windowBytes,
      connectionWindowBytes: windowBytes,
    });
    client.request("/");
    await expect.poll(() => server.requests[0]?.ended).toBe(true);
    client.connection.socket.pause();
    const { stream } = server.requests[0]!;
    stream!.head(undefined, ok);
    const piece = bytesOf(500_000);
    while (stream!.send(piece, 0, piece.length));
    expect(server.requests[0]!.writable).toBe(0);
    client.connection.socket.resume();
    await expect.poll(() => server.requests[0]!.writable).toBe(1);
  });
});

describe("a response that ends before its request", () => {
  test("stops the request, and is complete", async () => {
    const { server, client } = await pair();
    const request = client.request("/", false);
    await expect.poll(() => server.requests[0]?.stream).toBeDefined();
    respondWith(bytesOf(10), ["x-a", "1"])(server.requests[0]!.stream!);
    await expect.poll(() => request.reset).toEqual({ code: errorCode.noError, by: "peer" });
    expect(request).toMatchObject({ ended: true, body: Buffer.from(bytesOf(10)) });
    await expect.poll(() => server.connections[0]!.openStreams).toBe(0);
  });

  test("stops nothing if the request ends in the same chunk", async () => {
    const server = await TestServer.start({}, (request) => {
      request.onData = (stream) => stream.head(undefined, ok, true);
    });
    open.push(server);
    const peer = FramePeer.client(server.port);
    open.push(peer);
    const data = Buffer.alloc(10);
    peer.send(
      frame(types.headers, endHeaders, 1, grpcHeader("/")),
      frame(types.data, 0, 1, data),
      frame(types.data, endStream, 1, data),
    );
    await expect.poll(() => server.connections[0]?.openStreams).toBe(0);
    peer.send(frame(types.ping, 0, 0, Buffer.alloc(8)));
    await expect.poll(() => peer.of(types.ping).length).toBe(1);
    expect(peer.of(types.headers, 1)).toHaveLength(1);
    expect(peer.reset(1)).toBeUndefined();
  });

  test("is not cut short while it waits for the windows", async () => {
    const { server, client } = await pair({ streamWindowBytes: 70_000 });
    const request = client.request("/", false);
    request.consumes = false;
    await expect.poll(() => server.requests[0]?.stream).toBeDefined();
    respondWith(bytesOf(100_000), ["x-a", "1"])(server.requests[0]!.stream!);
    await expect.poll(() => request.body.length).toBe(70_000);
    expect(request.reset).toBeUndefined();
    request.consumes = true;
    request.stream!.consume(70_000);
    await expect.poll(() => request.reset?.code).toBe(errorCode.noError);
    expect(request.trailers?.get("x-a")).toBe("1");
  });
});

describe("a stream that is reset", () => {
  test("ends on both sides, with its code, and later frames are ignored", async () => {
    const { server, client } = await pair();
    const request = client.request("/", false);
    request.stream!.send(bytesOf(100), 0, 100);
    await expect.poll(() => server.requests[0]?.body.length).toBe(100);
    server.requests[0]!.stream!.reset(errorCode.enhanceYourCalm);
    // This crosses the reset.
    request.stream!.send(bytesOf(100), 0, 100);
    request.stream!.trailers(undefined, fields(["x-a", "1"]));
    await expect.poll(() => request.reset).toEqual({ code: errorCode.enhanceYourCalm, by: "peer" });
    expect(server.requests[0]!.reset).toEqual({ code: errorCode.enhanceYourCalm, by: "self" });
    const next = client.request("/next");
    await expect.poll(() => server.requests[1]?.ended).toBe(true);
    server.requests[1]!.stream!.head(undefined, ok, true);
    await expect.poll(() => next.ended).toBe(true);
    expect(server.requests[0]!.ended).toBe(false);
  });

  test("by the receiver of its last data is not reported as ended", async () => {
    const { server, client } = await pair({}, (request) => {
      request.onData = (stream) => stream.reset(errorCode.cancel);
    });
    const request = client.request("/", false);
    request.stream!.send(bytesOf(1), 0, 1, true);
    await expect.poll(() => request.reset?.code).toBe(errorCode.cancel);
    expect(server.requests[0]!.ended).toBe(false);
  });

  test("discards unsent data", async () => {
    const { server, client } = await pair({ streamWindowBytes: 70_000 }, (request) => {
      request.consumes = false;
    });
    const request = client.request("/", false);
    request.stream!.send(bytesOf(500_000), 0, 500_000, true);
    await expect.poll(() => server.requests[0]?.body.length).toBe(70_000);
    request.stream!.reset(errorCode.cancel);
    await expect.poll(() => server.requests[0]!.reset?.code).toBe(errorCode.cancel);
    expect(server.connections[0]!.unreadBytes).toBe(0);
    expect(client.connection.outputFull).toBe(false);
  });
});

describe("a connection that drains", () => {
  test("finishes its streams, accepts no more, and closes", async () => {
    const { server, client } = await pair();
    const request = client.request("/", true);
    await expect.poll(() => server.requests.length).toBe(1);
    const drained = server.connections[0]!.drain();
    await expect.poll(() => client.goingAway).toBe(true);
    expect(client.connection.capacity).toBe(0);
    expect(() => client.request()).toThrow(/no further requests/);
    server.requests[0]!.stream!.head(undefined, ok, true);
    await expect.poll(() => request.ended).toBe(true);
    await drained;
    await expect.poll(() => client.reason?.message).toMatch(/drained/);
    expect(server.ended[0]).toMatchObject({ violated: false });
  });

  test("still accepts requests that cross its announcement", async () => {
    const { server, client } = await pair({}, (request) => {
      request.respond = respondWith(bytesOf(1));
    });
    void server.connections[0]!.drain();
    const request = client.request();
    await expect.poll(() => request.ended).toBe(true);
  });

  test("lets the client's streams end when the client drains", async () => {
    const { server, client } = await pair();
    const request = client.request();
    client.connection.drain();
    await expect.poll(() => server.requests.length).toBe(1);
    server.requests[0]!.stream!.head(undefined, ok, true);
    await expect.poll(() => request.ended).toBe(true);
    await expect.poll(() => server.ended.length).toBe(1);
  });
});

test("streams end with their connection", async () => {
  const { server, client } = await pair();
  const request = client.request("/", false);
  await expect.poll(() => server.requests.length).toBe(1);
  client.connection.socket.destroy();
  await expect.poll(() => request.reset).toEqual({ code: errorCode.cancel, by: "connection" });
  await expect.poll(() => server.requests[0]!.reset?.by).toBe("connection");
  expect(server.ended[0]!.reason).toBeInstanceOf(MicroError);
});

test("a client respects how many streams the server accepts", async () => {
  const { client } = await pair({ maxConcurrentStreams: 2 });
  expect(client.connection.capacity).toBe(2);
  client.request("/", false);
  client.request("/", false);
  expect(() => client.request()).toThrow(/no further requests/);
});

test("a header that HTTP does not allow fails only its own request", async () => {
  const { server, client } = await pair({}, (request) => {
    request.respond = respondWith(bytesOf(1));
  });
  expect(() => client.request("/", true, ["x-a", "a\r\nb: c"])).toThrow(MicroError);
  const request = client.request("/", true, ["x-a", "1"]);
  await expect.poll(() => request.ended).toBe(true);
  expect(server.requests).toHaveLength(1);
  expect(client.connection.openStreams).toBe(0);
});

test("a stream is woken at its deadline", async () => {
  const { server, client } = await pair();
  const request = client.request("/", false);
  await expect.poll(() => server.requests.length).toBe(1);
  server.requests[0]!.stream!.wakeAt(performance.now() + 30);
  await expect.poll(() => server.requests[0]!.due).toBe(1);
  expect(request.reset).toBeUndefined();
});
