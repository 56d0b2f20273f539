import { once } from "node:events";
import { connect } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Readable, Writable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fields, ok, Received, TestClient } from "../../../../test/support/http2-peers.ts";
import { errorCode } from "../http2/error-code.ts";
import { defaultHttp2Limits, type Http2Limits } from "../http2/limits.ts";
import { ServerConnection } from "../http2/server-connection.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";

type Http2Request = Extract<HttpRequest, { stream: unknown }>;
type Http2Response = Extract<HttpResponse, { stream: unknown }>;

interface Exchanged {
  readonly request: Http2Request;
  readonly response: Http2Response;
  /** The events of either that say that something is over, in their order. */
  readonly events: readonly string[];
}

let server: Server;
let client: TestClient;
let connection: ServerConnection;
let exchanges: Exchanged[];
let handle: (request: Http2Request, response: Http2Response) => void;

/** What a connection knows its exchanges by. */
const session = {};

async function start(limits: Partial<Http2Limits> = {}): Promise<void> {
  exchanges = [];
  handle = () => undefined;
  const allLimits = { ...defaultHttp2Limits, ...limits };
  server = createServer((socket) => {
    connection = new ServerConnection(socket, "the test", allLimits, {
      requested(stream, head, list, hasEnded) {
        const exchange = new Http2Exchange(stream, head, list, session, false);
        stream.handler = exchange;
        if (hasEnded) exchange.onEnd();
        const request = exchange.request as Http2Request;
        const response = exchange.response as Http2Response;
        const events: string[] = [];
        request.on("close", () => events.push("request closed"));
        response.on("close", () => events.push("response closed"));
        response.on("finish", () => events.push("response finished"));
        exchanges.push({ request, response, events });
        handle(request, response);
        return exchange;
      },
      connectionEnded: () => undefined,
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  client = new TestClient((server.address() as AddressInfo).port, limits);
  await client.connected;
}

function stop(): void {
  client[Symbol.dispose]();
  connection.socket.destroy();
  server.close();
}

async function restart(limits: Partial<Http2Limits>): Promise<void> {
  stop();
  await start(limits);
}

beforeEach(() => start());
afterEach(() => stop());

/** Sends a request with this method, and without a body. */
function send(method: string): Received {
  const received = new Received();
  const list = fields([":method", method], [":scheme", "http"], [":path", "/"]);
  const stream = client.connection.request(undefined, list, true, received);
  stream!.isBodiless = method === "HEAD";
  return received;
}

async function read(body: Http2Request): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body as unknown as Readable) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

const bytesOf = (length: number) => new Uint8Array(length).map((_, at) => at * 7 + (at >> 8));

test("a request is presented with its header, its address and its body", async () => {
  const bodies: Buffer[] = [];
  handle = async (request, response) => {
    bodies.push(await read(request));
    response.writeHead(200);
    response.end();
  };
  const request = client.request(
    "/a?b=c",
    false,
    ["x-a", "1"],
    ["x-a", "2"],
    ["cookie", "c=1"],
    ["cookie", "d=2"],
    ["authorization", "first"],
    ["authorization", "second"],
    ["constructor", "x"],
  );
  request.stream!.send(bytesOf(100_000), 0, 100_000, true);
  await expect.poll(() => request.ended).toBe(true);
  expect(bodies[0]!.equals(bytesOf(100_000))).toBe(true);
  const [presented] = exchanges;
  expect(presented!.request).toMatchObject({
    method: "POST",
    url: "/a?b=c",
    authority: "localhost",
    httpVersionMajor: 2,
  });
  expect(presented!.request.headers).toMatchObject({
    ":authority": "localhost",
    "x-a": "1, 2",
    cookie: "c=1; d=2",
    authorization: "first",
    constructor: "x",
  });
  expect(presented!.request.rawHeaders.join()).toContain("x-a,1,x-a,2,cookie,c=1,cookie,d=2");
  expect(presented!.request.stream.session).toBe(session);
});

test("a response arrives with its header, its body and its trailers", async () => {
  handle = (_request, response) => {
    response.setHeader("X-Single", "1");
    response.setHeader("x-several", ["1", "2"]);
    response.setHeader("connection", "keep-alive");
    response.writeHead(201, { "content-type": "text/plain" });
    response.write("a");
    response.write("b");
    response.addTrailers({ "X-Trailer": "t" });
    response.end("c");
  };
  const { stream, ...response } = await ended(client.request("/"));
  expect(stream!.closed).toBe(true);
  expect(response.head!.status).toBe(201);
  const lines = response.list!.fields.map(({ name, value }) => `${name}: ${value}`);
  expect(lines).toEqual([
    ":status: 201",
    "x-single: 1",
    "x-several: 1",
    "x-several: 2",
    "content-type: text/plain",
    expect.stringMatching(/^date: .* GMT$/),
  ]);
  expect(Buffer.concat(response.pieces).toString()).toBe("abc");
  expect(response.trailers!.get("x-trailer")).toBe("t");
  await expect.poll(() => exchanges[0]!.events).toHaveLength(3);
});

async function ended(received: Received): Promise<Received> {
  await expect.poll(() => received.ended).toBe(true);
  return received;
}

test("a response without a body ends with its header or after it", async () => {
  handle = (_request, response) => {
    response.writeHead(204);
    response.end();
  };
  const response = await ended(client.request("/"));
  expect(response.head!.status).toBe(204);
  expect(response.body).toHaveLength(0);
});

test("GET and HEAD have the same header, and only GET has a body", async () => {
  handle = (_request, response) => {
    response.writeHead(200, { "content-length": 3 });
    response.end("abc");
  };
  const get = await ended(send("GET"));
  const head = await ended(send("HEAD"));
  expect(get.body.toString()).toBe("abc");
  expect(head.body).toHaveLength(0);
  for (const { list } of [get, head]) expect(list!.get("content-length")).toBe("3");
  handle = (_request, response) => response.end("");
  await ended(send("HEAD"));
  await expect.poll(() => connection.openStreams).toBe(0);
});

test("a caller that waits for it is told to continue", async () => {
  handle = async (request, response) => {
    await read(request);
    response.end("done");
  };
  const { port } = server.address() as AddressInfo;
  const others = connect(`http://127.0.0.1:${port}`);
  const request = others.request({ ":method": "POST", expect: "100-continue" });
  await once(request, "continue");
  request.end("body");
  const [head] = await once(request, "response");
  expect(head[":status"]).toBe(200);
  others.destroy();
});

test("a handler that does not read stops its caller, and a slow one gets everything", async () => {
  await restart({ streamWindowBytes: 70_000 });
  const body = bytesOf(300_000);
  const request = client.request("/", false);
  expect(request.stream!.send(body, 0, body.length, true)).toBe(false);
  await expect.poll(() => connection.unreadBytes).toBeGreaterThan(0);
  expect(request.stream!.queuedBytes).toBeGreaterThan(100_000);
  const received = await read(exchanges[0]!.request);
  expect(received.equals(body)).toBe(true);
  expect(connection.unreadBytes).toBe(0);
});

test("a caller that does not read stops its handler", async () => {
  await restart({ streamWindowBytes: 70_000 });
  let passed = 0;
  handle = async (_request, response) => {
    const body = response as unknown as Writable;
    for (let index = 0; index < 10; index++) {
      await new Promise<void>((resolve) => body.write(bytesOf(50_000), () => resolve()));
      passed++;
    }
    response.end();
  };
  const request = client.request("/", true);
  request.consumes = false;
  await expect.poll(() => request.body.length).toBe(70_000);
  expect(passed).toBe(1);
  request.consumes = true;
  request.stream!.consume(70_000);
  await ended(request);
  expect(request.body).toHaveLength(500_000);
  expect(passed).toBe(10);
});

test("a response that ends before its request is complete, and stops it", async () => {
  handle = (_request, response) => {
    response.addTrailers({ "x-trailer": "t" });
    response.end("early");
  };
  const request = client.request("/", false);
  request.stream!.send(bytesOf(1_000), 0, 1_000);
  await expect.poll(() => request.reset).toEqual({ code: errorCode.noError, by: "peer" });
  expect(request).toMatchObject({ ended: true, body: Buffer.from("early") });
  await expect.poll(() => exchanges[0]!.events).toContain("response closed");
  // It was not the caller who ended it.
  expect(exchanges[0]!.request.stream).toMatchObject({ aborted: false, rstCode: 0 });
  expect(connection.unreadBytes).toBe(0);
});

test("a body that is never read holds nothing after the response", async () => {
  await restart({ streamWindowBytes: 70_000 });
  for (let round = 0; round < 20; round++) {
    handle = (request, response) => {
      request.once("readable", () => response.end("no"));
    };
    const request = client.request("/", false);
    request.stream!.send(bytesOf(300_000), 0, 300_000, true);
    await expect.poll(() => request.ended).toBe(true);
  }
  await expect.poll(() => connection.openStreams).toBe(0);
  expect(connection.unreadBytes).toBe(0);
});

test("a request that its caller resets ends, and says so when asked", async () => {
  let ends: Buffer | undefined;
  handle = async (request) => {
    ends = await read(request);
  };
  const request = client.request("/", false);
  request.stream!.send(bytesOf(10), 0, 10);
  await expect.poll(() => exchanges).toHaveLength(1);
  request.stream!.reset(errorCode.cancel);
  await expect.poll(() => exchanges[0]!.events).toEqual(["request closed", "response closed"]);
  expect(ends).toHaveLength(10);
  const [presented] = exchanges;
  expect(presented!.request.stream).toMatchObject({
    aborted: true,
    destroyed: true,
    rstCode: errorCode.cancel,
  });
  expect(presented!.response.destroyed).toBe(true);
});

test("writes for a caller that has left are discarded, and the writer continues", async () => {
  await restart({ streamWindowBytes: 70_000 });
  const request = client.request("/", true);
  request.consumes = false;
  await expect.poll(() => exchanges).toHaveLength(1);
  const body = exchanges[0]!.response as unknown as Writable;
  const waits = new Promise<void>((resolve) => body.write(bytesOf(200_000), () => resolve()));
  await expect.poll(() => request.body.length).toBe(70_000);
  request.stream!.reset(errorCode.cancel);
  await waits;
  body.write(bytesOf(10));
  body.end();
  await expect.poll(() => exchanges[0]!.events).toContain("response closed");
  expect(connection.openStreams).toBe(0);
});

test("requests of a connection that breaks are aborted", async () => {
  const request = client.request("/", false);
  await expect.poll(() => exchanges).toHaveLength(1);
  client.connection.socket.destroy();
  await expect.poll(() => exchanges[0]!.events).toEqual(["request closed", "response closed"]);
  expect(exchanges[0]!.request.stream).toMatchObject({ aborted: true, rstCode: errorCode.cancel });
  expect(request.ended).toBe(false);
});

test("a response that its handler destroys resets the stream", async () => {
  handle = (_request, response) => {
    response.write("a");
    response.destroy();
  };
  const request = client.request("/");
  await expect.poll(() => request.reset).toEqual({ code: errorCode.internalError, by: "peer" });
  expect(request.ended).toBe(false);
});

test("a header over the limits resets its stream, and not the others", async () => {
  const other = client.request("/", false);
  await expect.poll(() => exchanges).toHaveLength(1);
  handle = (_request, response) => response.end("ok");
  const value = "a".repeat(defaultHttp2Limits.maxHeaderListBytes);
  const large = client.request("/", true, ["x-large", value]);
  const lines = Array.from({ length: 200 }, (_, index) => [`x-${index}`, "1"] as const);
  const many = client.request("/", true, ...lines);
  await expect.poll(() => large.reset?.code).toBe(errorCode.enhanceYourCalm);
  await expect.poll(() => many.reset?.code).toBe(errorCode.enhanceYourCalm);
  const next = await ended(client.request("/"));
  expect(next.body.toString()).toBe("ok");
  expect(next.list!.fields.slice(0, 1)).toEqual(ok);
  expect(other.reset).toBeUndefined();
});

test("writes to a stream that was reset are accepted in a later turn, once its end is reported", async () => {
  const most = 10_000;
  let written = 0;
  let isOver = false;
  handle = async (_request, response) => {
    response.writeHead(200);
    response.on("close", () => {
      isOver = true;
    });
    // As a handler writes that waits for nothing but its caller.
    while (!isOver && written < most) {
      written++;
      await new Promise<void>((taken) => {
        (response as unknown as Writable).write(Buffer.alloc(1_000), () => taken());
      });
    }
  };
  const request = client.request();
  request.consumes = false;
  const received = () => request.pieces.reduce((sum, piece) => sum + piece.length, 0);
  await expect.poll(received).toBe(defaultHttp2Limits.streamWindowBytes);
  const before = written;
  // Both arrive in one chunk: writing goes on, and then the stream is closed.
  request.stream!.consume(received());
  request.stream!.reset(errorCode.cancel);
  await expect.poll(() => isOver).toBe(true);
  expect(written - before).toBeLessThan(100);
});
