import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type TcpTransportOptions, tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../../../../test/contract/transport-fixture.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** The time for a message that does not arrive, in milliseconds. */
const graceMs = 300;
const patience = { keepaliveIntervalMs: graceMs / 3, keepaliveTimeoutMs: (2 * graceMs) / 3 };
const longPatience = { keepaliveIntervalMs: 10_000, keepaliveTimeoutMs: 5_000 };

async function serve(options: TcpTransportOptions = {}): Promise<Listener> {
  const listener = await tcpTransport({ ...patience, ...options }).listen(
    "127.0.0.1:0",
    answering({
      unary: ({ text }, call) => ({ text: `${text}, ${Math.round(call.remainingMs())} ms left` }),
      async *stream(requests) {
        for await (const { text } of requests) yield { text };
      },
    }),
  );
  ends.push(() => listener.close());
  return listener;
}

function session({ address }: Listener): ClientHttp2Session {
  const opened = connectHttp2(`http://${address}`);
  opened.on("error", () => undefined);
  ends.push(() => opened.destroy());
  return opened;
}

/** Returns an EchoRequest or response with this text, in gRPC framing. */
function message(text: string): Buffer {
  const bytes = Buffer.concat([Buffer.of(0x0a, text.length), Buffer.from(text)]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Opens a gRPC call. `status` is its status and message, once it has one. */
function open(on: ClientHttp2Session, method: string, lines: Record<string, string> = {}) {
  const stream = on.request({
    ":method": "POST",
    ":path": `/micro.test.v1.EchoService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...lines,
  });
  let text = "";
  stream.on("error", () => undefined).setEncoding("latin1");
  stream.on("data", (piece: string) => {
    text += piece;
  });
  const status = new Promise<string>((resolve) => {
    const seen = (header: Record<string, unknown>) => {
      if (header["grpc-status"] !== undefined)
        resolve(`${header["grpc-status"]} ${decodeURIComponent(String(header["grpc-message"]))}`);
    };
    stream.on("response", seen);
    stream.on("trailers", seen);
  });
  return { stream, status, text: () => text };
}

const late = /^4 a message was not complete within 300 ms/;

describe("a request whose message is not complete in time is ended", () => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a truncated prefix", message("hello").subarray(0, 3)],
    ["a truncated message", message("hello").subarray(0, 8)],
  ])("where %s has come of a unary call", async (_, bytes) => {
    const { stream, status } = open(session(await serve()), "Echo");
    if (bytes.length > 0) stream.write(bytes);
    expect(await status).toMatch(late);
  });

  test("where half of the next message of a stream has come", async () => {
    const { stream, status, text } = open(session(await serve()), "Chat");
    stream.write(message("hello"));
    stream.write(message("again").subarray(0, 8));
    expect(await status).toMatch(late);
    expect(text()).toContain("hello");
  });

  test("where it drips", async () => {
    const { stream, status } = open(session(await serve()), "Echo");
    const dripping = setInterval(() => stream.write(Buffer.of(0)), 20);
    ends.push(() => clearInterval(dripping));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(100_000, 1);
    stream.write(prefix);
    expect(await status).toMatch(late);
  });

  test("by HTTP/1.1", async () => {
    const { address } = await serve();
    const socket = connectTcp(Number(address.split(":")[1]), "127.0.0.1");
    ends.push(() => socket.destroy());
    socket.write(
      "POST /micro.test.v1.EchoService/Echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    );
    const [response] = (await once(socket, "data")) as [Buffer];
    expect(response.toString()).toMatch(/^HTTP\/1.1 504 .*a message was not complete/s);
  });
});

describe("by HTTP/1.1 a connection is closed whose request was answered but does not end", () => {
  const name = "micro.test.v1.EchoService/Echo";
  const chunk = "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
  test.each([
    ["refused for its Host", `POST /${name}`, ["host: example.com"], 403],
    ["refused for two lines Host", `POST /${name}`, ["host: localhost", "host: localhost"], 400],
    [
      "refused for its Origin",
      `POST /${name}`,
      ["host: localhost", "origin: http://example.com"],
      403,
    ],
    [
      "refused for its Sec-Fetch-Site",
      `POST /${name}`,
      ["host: localhost", "sec-fetch-site: cross-site"],
      403,
    ],
    ["refused for its path", "POST /nothing", ["host: localhost"], 404],
    [
      "refused for its method",
      `PUT /${name}`,
      ["host: localhost", "content-type: application/json"],
      405,
    ],
    [
      "refused for its content type",
      `POST /${name}`,
      ["host: localhost", "content-type: text/plain"],
      415,
    ],
    ["a probe", "GET /readyz", ["host: localhost"], 200],
  ])("%s", async (_, line, header, status) => {
    const { address } = await serve();
    const socket = connectTcp(Number(address.split(":")[1]), "127.0.0.1");
    ends.push(() => socket.destroy());
    socket.write([`${line} HTTP/1.1`, ...header, chunk].join("\r\n"));
    // The body continues to drip, which must not keep the connection open.
    const dripping = setInterval(() => socket.write("1\r\n \r\n"), 50);
    ends.push(() => clearInterval(dripping));
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const [response] = (await once(socket, "data")) as [Buffer];
    expect(response.toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    await closed;
  });
});

test("by HTTP/1.1 a connection is kept if its refused request ends soon after the response", async () => {
  const { address } = await serve();
  const socket = connectTcp(Number(address.split(":")[1]), "127.0.0.1");
  ends.push(() => socket.destroy());
  socket.write("POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{");
  const [refused] = (await once(socket, "data")) as [Buffer];
  expect(refused.toString()).toMatch(/^HTTP\/1.1 404 /);
  socket.write("}GET /readyz?from=balancer HTTP/1.1\r\nhost: localhost\r\n\r\n");
  const [ready] = (await once(socket, "data")) as [Buffer];
  expect(ready.toString()).toMatch(/^HTTP\/1.1 200 /);
});

test("a stream may be silent between its messages, and before the first, for as long as it likes", async () => {
  const { stream, text } = open(session(await serve()), "Chat");
  for (const word of ["first", "second"]) {
    await sleep(2 * graceMs);
    stream.write(message(word));
    await expect.poll(text).toContain(word);
  }
});

test("a large message may take the time that its size allows", async () => {
  const { stream, status } = open(session(await serve()), "Echo");
  const bytes = Buffer.concat([Buffer.of(0x0a, 0xc0, 0x84, 0x3d), Buffer.alloc(1_000_000, "a")]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  stream.write(prefix);
  for (let at = 0; at < bytes.length; at += 200_000) {
    stream.write(bytes.subarray(at, at + 200_000));
    await sleep(graceMs / 2);
  }
  stream.end();
  expect(await status).toMatch(/^0 /);
});

test("the timeout of a call includes the time in which its message comes", async () => {
  const { stream, status, text } = open(session(await serve()), "Echo", { "grpc-timeout": "1S" });
  stream.write(message("hello").subarray(0, 8));
  await sleep(200);
  stream.end(message("hello").subarray(8));
  expect(await status).toMatch(/^0 /);
  const left = Number(/(\d+) ms left/.exec(text())?.[1]);
  expect(left).toBeLessThan(900);
  expect(left).toBeGreaterThan(0);
});

describe("bytes of requests that are not complete", () => {
  const limit = 256 * 1024;
  const half = Buffer.concat([Buffer.of(0, 0, 3, 0, 0), Buffer.alloc(100 * 1024)]);

  test("are limited for each connection, and other connections go on", async () => {
    const options = { ...longPatience, http: { maxIncompleteBytes: limit } };
    const listener = await serve({ ...options, maxMessageBytes: limit });
    const on = session(listener);
    const calls = Array.from({ length: 4 }, () => open(on, "Echo"));
    for (const { stream } of calls) stream.write(half);
    expect(await Promise.race(calls.map(({ status }) => status))).toMatch(
      /^8 a request was refused: its connection has 262144 bytes .*maxIncompleteBytes/,
    );
    const other = open(session(listener), "Echo");
    other.stream.end(message("hello"));
    expect(await other.status).toMatch(/^0 /);
    // The held bytes are released.
    for (const { stream } of calls) stream.close();
    for (let call = 0; call < 4; call++) {
      const again = open(on, "Echo");
      again.stream.write(message("hello").subarray(0, 8));
      again.stream.end(message("hello").subarray(8));
      expect(await again.status).toMatch(/^0 /);
    }
  });

  test("are limited for all connections of a process, and released with them", async () => {
    const options = { ...longPatience, http: { maxIncompleteBytes: limit } };
    const serveOne = () => serve({ ...options, maxMessageBytes: limit });
    const listeners = [await serveOne(), await serveOne()];
    for (let round = 0; round < 2; round++) {
      const sessions = Array.from({ length: 12 }, (_, index) => session(listeners[index % 2]!));
      const calls = sessions.map((on) => open(on, "Echo"));
      for (const { stream } of calls) stream.write(half);
      expect(await Promise.race(calls.map(({ status }) => status))).toMatch(
        /^8 a request was refused: the process has 1048576 bytes /,
      );
      for (const on of sessions) on.destroy();
      // As much as one connection may hold, once what the others held is released.
      const room = session(listeners[0]!);
      await expect
        .poll(() => {
          const one = open(room, "Echo");
          one.stream.end(message("x".repeat(200 * 1024)));
          return one.status;
        })
        .toMatch(/^0 /);
    }
  });
});
