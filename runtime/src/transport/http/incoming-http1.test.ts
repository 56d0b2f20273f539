import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { type IncomingMessage, type Server, request as startRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { create, toBinary } from "@bufbuild/protobuf";
import { MicroError, type TcpTransportOptions, tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { type Answers, answering } from "../../../../test/contract/transport-fixture.ts";
import { EchoRequestSchema } from "../../../../test/gen/micro/test/v1/echo_pb.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serve(answers: Answers, options: TcpTransportOptions = {}): Promise<Listener> {
  const listener = await tcpTransport(options).listen("127.0.0.1:0", answering(answers));
  ends.push(() => listener.close());
  return listener;
}

function portOf({ address }: Listener): number {
  return Number(address.split(":")[1]);
}

/** A message with its prefix. */
function message(text: string): Buffer {
  const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Starts a call whose requests are still to be written. */
function open(listener: Listener, method: string, type: string, lines = {}) {
  const request = startRequest({
    host: "127.0.0.1",
    port: portOf(listener),
    method: "POST",
    path: `/micro.test.v1.EchoService/${method}`,
    headers: { "content-type": type, ...lines },
  });
  request.on("error", () => undefined);
  ends.push(() => request.destroy());
  request.flushHeaders();
  const response = once(request, "response").then(([it]) => it as IncomingMessage);
  response.catch(() => undefined);
  return { request, response };
}

const streams = ["application/connect+proto", "application/grpc-web", "application/grpc"];
const echoing: Answers = {
  unary: ({ text }) => ({ text }),
  async *stream(requests) {
    for await (const { text } of requests) yield { text };
  },
};

/** Waits until a count does not change any longer. */
async function standsStill(count: () => number): Promise<void> {
  let before = -1;
  const isStill = () => {
    const last = before;
    before = count();
    return last === before;
  };
  await expect.poll(isStill, { interval: 100, timeout: 10_000 }).toBe(true);
}

describe.each(streams)("a stream over HTTP/1.1 as %s", (type) => {
  test("responds to each request before the next one", async () => {
    const { request, response } = open(await serve(echoing), "Chat", type);
    request.write(message("one"));
    const answer = await response;
    const pieces = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    expect(answer.headers["content-type"]).toMatch(type);
    expect((await pieces.next()).value).toEqual(message("one"));
    request.write(message("two"));
    expect((await pieces.next()).value).toEqual(message("two"));
    request.end();
    const rest: Buffer[] = [];
    for (let step = await pieces.next(); step.done !== true; step = await pieces.next()) {
      rest.push(step.value);
    }
    const end = `${Buffer.concat(rest)} ${JSON.stringify(answer.trailers)}`;
    expect(end).toMatch(/grpc-status(?:: |":")0|\{\}/);
  });

  test("joins requests that arrive in single bytes", async () => {
    const { request, response } = open(await serve(echoing), "Chat", type);
    for (const byte of Buffer.concat([message("one"), message("two")])) {
      request.write(Buffer.of(byte));
    }
    request.end();
    const body = await buffer(await response);
    const both = Buffer.concat([message("one"), message("two")]);
    expect(body.subarray(0, both.length)).toEqual(both);
  });

  test("stops a handler whose responses are not read", async () => {
    let yielded = 0;
    const listener = await serve({
      async *stream() {
        for (;;) {
          yielded++;
          yield { text: "x".repeat(100_000) };
        }
      },
    });
    const { request, response } = open(listener, "Repeat", type);
    request.end(message(""));
    const answer = await response;
    await standsStill(() => yielded);
    // What the kernel buffers on both sides.
    expect(yielded).toBeLessThan(200);
    const stopped = yielded;
    answer.resume();
    await expect.poll(() => yielded).toBeGreaterThan(stopped);
  });

  test("stops a caller whose requests no handler reads", async () => {
    let read: () => void = () => undefined;
    const reading = new Promise<void>((resolve) => {
      read = resolve;
    });
    let seen = 0;
    const listener = await serve({
      async *stream(requests) {
        await reading;
        for await (const _ of requests) seen++;
        yield { text: String(seen) };
      },
    });
    const { request, response } = open(listener, "Collect", type);
    const large = message("x".repeat(100_000));
    let sent = 0;
    const write = () => {
      while (sent < 400) {
        sent++;
        if (request.write(large)) continue;
        request.once("drain", write);
        return;
      }
      request.end();
    };
    write();
    await standsStill(() => sent);
    expect(sent).toBeLessThan(200);
    read();
    expect((await buffer(await response)).toString()).toContain("400");
  });

  test("cancels its handler when the caller disconnects", async () => {
    let reason: unknown;
    const listener = await serve({
      async *stream(_requests, { signal }) {
        yield { text: "begun" };
        await once(signal, "abort");
        reason = signal.reason;
      },
    });
    const { request, response } = open(listener, "Repeat", type);
    request.end(message(""));
    await once(await response, "data");
    request.destroy();
    await expect.poll(() => reason).toMatchObject({ code: "canceled" });
    await expect.poll(() => listener.openCalls).toBe(0);
  });

  test("ends at its deadline", async () => {
    let reason: unknown;
    const listener = await serve({
      async *stream(_requests, { signal }) {
        yield { text: "begun" };
        await once(signal, "abort");
        reason = signal.reason;
      },
    });
    const timeout = type.includes("grpc")
      ? { "grpc-timeout": "100m" }
      : { "connect-timeout-ms": "100" };
    const { request, response } = open(listener, "Repeat", type, timeout);
    request.end(message(""));
    const answer = await response;
    const body = (await buffer(answer)).toString();
    expect(`${body} ${JSON.stringify(answer.trailers)}`).toMatch(
      /deadline_exceeded|grpc-status(?:: |":")4/,
    );
    expect(reason).toMatchObject({ code: "deadline_exceeded" });
  });
});

/** Opens a connection, and collects what arrives. */
async function dial(listener: Listener): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(portOf(listener), "127.0.0.1");
  ends.push(() => socket.destroy());
  await once(socket, "connect");
  let text = "";
  socket.on("data", (piece) => {
    text += piece.toString("latin1");
  });
  socket.on("error", () => undefined);
  return { socket, text: () => text };
}

function post(body: string, lines = ""): string {
  return `POST /micro.test.v1.EchoService/Echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${lines}content-length: ${body.length}\r\n\r\n${body}`;
}

test("calls that follow each other on a connection get their responses in order", async () => {
  const waiting: (() => void)[] = [];
  const listener = await serve({
    unary: ({ text }) => new Promise((resolve) => waiting.push(() => resolve({ text }))),
  });
  const { socket, text } = await dial(listener);
  socket.write(post('{"text":"one"}') + post('{"text":"two"}') + post('{"text":"three"}'));
  await expect.poll(() => waiting.length).toBe(3);
  for (const respond of waiting.reverse()) respond();
  await expect.poll(text).toMatch(/one.*two.*three/s);
  expect(text().match(/content-length: \d+/g)).toHaveLength(3);
});

test("a caller that disconnects cancels the calls whose turn has not come", async () => {
  const reasons: unknown[] = [];
  const listener = await serve({
    async unary(_, { signal }) {
      await once(signal, "abort");
      reasons.push(signal.reason.code);
      return {};
    },
  });
  const { socket } = await dial(listener);
  socket.write(post("{}") + post("{}"));
  await expect.poll(() => listener.openCalls).toBe(2);
  socket.destroy();
  await expect.poll(() => reasons).toEqual(["canceled", "canceled"]);
  await expect.poll(() => listener.openCalls).toBe(0);
});

const start = "HTTP/1.1 ";

test("responses beyond what a connection may leave unread are dropped", async () => {
  let calls = 0;
  const large = { text: "x".repeat(4_000_000) };
  const listener = await serve({
    unary() {
      calls++;
      return large;
    },
  });
  const socket = connect(portOf(listener), "127.0.0.1");
  ends.push(() => socket.destroy());
  await once(socket, "connect");
  const count = 24;
  const name = "micro.test.v1.EchoService/Echo";
  const header = "host: localhost\r\ncontent-type: application/proto\r\ncontent-length: 0\r\n";
  socket.write(`POST /${name} HTTP/1.1\r\n${header}\r\n`.repeat(count));
  await expect.poll(() => calls, { timeout: 30_000 }).toBe(count);
  const statuses: string[] = [];
  socket.on("data", (piece) => {
    for (let at = piece.indexOf(start); at >= 0; at = piece.indexOf(start, at + 1)) {
      statuses.push(piece.toString("latin1", at + start.length, at + start.length + 3));
    }
  });
  await expect.poll(() => statuses.length, { timeout: 30_000 }).toBe(count);
  expect(statuses.slice(0, 16)).toEqual(Array(16).fill("200"));
  expect(statuses.at(-1)).toBe("429");
}, 90_000);

test("a draining listener refuses calls, and then closes the connection", async () => {
  let respond: (response: object) => void = () => undefined;
  const listener = await serve({
    unary: () =>
      new Promise((resolve) => {
        respond = resolve;
      }),
  });
  const { socket, text } = await dial(listener);
  socket.write(post("{}"));
  await expect.poll(() => listener.openCalls).toBe(1);
  const closed = once(socket, "close");
  const drained = listener.drain();
  socket.write(post("{}"));
  respond({ text: "last" });
  await drained;
  await closed;
  expect(text()).toMatch(/200 OK.*last.*503 .*not-executed.*connection: close.*draining/s);
});

test("a call that a drain finds open is the last one of its connection", async () => {
  let respond: (response: object) => void = () => undefined;
  const listener = await serve({
    unary: () =>
      new Promise((resolve) => {
        respond = resolve;
      }),
  });
  const { socket, text } = await dial(listener);
  const other = await dial(listener);
  const idle = await dial(listener);
  idle.socket.write(post(""));
  await expect.poll(idle.text).toMatch(/400/);
  socket.write(post("{}"));
  other.socket.write(post("{}").slice(0, -1));
  await expect.poll(() => listener.openCalls).toBe(2);
  const closed = once(socket, "close");
  const drains = once(idle.socket, "close");
  void listener.drain();
  await drains;
  respond({ text: "last" });
  await closed;
  expect(text()).toMatch(/200 OK.*connection: close.*last/s);
  expect(listener.openCalls).toBe(1);
});

test.each([
  ["an unknown encoding", "content-encoding: zip\r\n", 501, "unimplemented"],
  ["another version of Connect", "connect-protocol-version: 2\r\n", 400, "invalid_argument"],
  ["a malformed timeout", "connect-timeout-ms: soon\r\n", 400, "invalid_argument"],
  [
    "a timeout stated twice",
    "connect-timeout-ms: 1\r\nconnect-timeout-ms: 2\r\n",
    400,
    "invalid_argument",
  ],
])("a call with %s is refused", async (_, lines, status, code) => {
  const { socket, text } = await dial(await serve(echoing));
  socket.write(post("{}", lines));
  await expect.poll(text).toContain(code);
  expect(text()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(text()).toContain("micro-outcome: not-executed");
});

test.each([
  ["PUT", "application/json", 405],
  ["POST", "text/plain", 415],
  ["POST", "application/connect+json", 415],
  ["POST", "application/json; charset=utf-8", 200],
  ["POST", 'application/json ;charset="UTF-8"', 200],
  ["POST", "application/json; charset=latin1", 415],
])("a request by %s as %s gets %s", async (method, type, status) => {
  const { socket, text } = await dial(await serve(echoing));
  const request = post('{"text":"hello"}')
    .replace("POST", method)
    .replace("application/json", type);
  socket.write(request);
  await expect.poll(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
});

test.each([
  ["v1", 200],
  ["v2", 400],
])("a GET of Connect %s gets %s", async (version, status) => {
  const { socket, text } = await dial(await serve(echoing));
  const query = `connect=${version}&encoding=json&message=%7B%7D`;
  socket.write(post("").replace(/^POST (\S+)/, `GET $1?${query}`));
  await expect.poll(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
});

test("a request may last: Node ends it after no time of its own", async () => {
  const timeouts = new Set<number>();
  const started = (message: unknown) => {
    timeouts.add((message as { readonly server: Server }).server.requestTimeout);
  };
  subscribe("http.server.request.start", started);
  ends.push(() => unsubscribe("http.server.request.start", started));
  const { socket, text } = await dial(await serve(echoing));
  socket.write(post("{}"));
  await expect.poll(text).toMatch(/200 OK/);
  expect(timeouts).toEqual(new Set([0]));
});

test.each([
  ["the host of the request", "http://localhost", 200],
  ["another host", "http://elsewhere.example", 404],
])("a target that is a URL of %s gets %s", async (_, origin, status) => {
  const { socket, text } = await dial(await serve(echoing));
  socket.write(post('{"text":"hello"}').replace("POST ", `POST ${origin}`));
  await expect.poll(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
});

test("metadata and trailers arrive together with an error", async () => {
  const listener = await serve({
    unary(_, call) {
      call.responseMetadata.set("x-one", "1");
      call.trailers.set("x-two", "2");
      throw new MicroError("not_found", "none");
    },
  });
  const { socket, text } = await dial(listener);
  socket.write(post("{}"));
  await expect.poll(text).toMatch(/^HTTP\/1.1 404 .*x-one: 1\r\ntrailer-x-two: 2/s);
});
