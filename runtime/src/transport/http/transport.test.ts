import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, request } from "node:http";
import {
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import {
  compressResponses,
  MicroError,
  requestCompressed,
  type Transport,
} from "@micro-es/runtime";
import type { Listener, ListenOptions } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Answers,
  answering,
  gate,
  outgoing,
  settled,
} from "../../../../test/contract/transport-fixture.ts";
import { EchoService } from "../../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../../test/support/echo.ts";
import { goMicroTransport } from "../../go-micro/transport.ts";
import { type TcpTransportOptions, tcpTransport } from "../tcp/transport.ts";
import { httpTransport } from "./transport.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

async function serve(
  answers: Answers,
  options: TcpTransportOptions = {},
  listenOptions: ListenOptions = {},
): Promise<Listener> {
  const transport = tcpTransport(options);
  const listener = await transport.listen("127.0.0.1:0", answering(answers), listenOptions);
  open.push(listener);
  return listener;
}

const text: Answers = {
  unary: (request, call) => {
    call.responseMetadata.set("x-served", "here").append("x-many", "a, b").append("x-many", "c");
    call.trailers.set("x-cost", "7").set("sum-bin", Uint8Array.of(0, 255));
    if (request.fail !== "") {
      throw new MicroError("not_found", `no ${request.text} – ☃`, {
        outcome: "executed",
        retryAfterMs: 120,
        details: [{ typeName: "google.protobuf.Duration", value: Uint8Array.of(8, 3) }],
      });
    }
    return { text: request.text.toUpperCase() };
  },
  async *stream(requests) {
    for await (const request of requests) {
      for (let index = 0; index < Math.max(1, request.count); index++) {
        yield { text: request.text, index };
      }
    }
  },
};

function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers = {},
): Promise<Response> {
  const type = { "content-type": "application/json", "accept-encoding": "gzip" };
  return fetch(url, { method: "POST", headers: { ...type, ...headers }, body });
}

describe("a listener", () => {
  test("answers curl: JSON by HTTP/1.1, and GET where there are no side effects", async () => {
    const { address } = await serve(text);
    const url = `http://${address}/micro.test.v1.EchoService/Echo`;
    const posted = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: "hi", unknown: 1 }),
    });
    expect(posted.status).toBe(200);
    expect(await posted.json()).toEqual({ text: "HI" });
    expect(posted.headers.get("x-served")).toBe("here");
    expect(posted.headers.get("trailer-x-cost")).toBe("7");
    const message = encodeURIComponent(JSON.stringify({ text: "got" }));
    const got = await fetch(`${url}?connect=v1&encoding=json&message=${message}`);
    expect(await got.json()).toEqual({ text: "GOT" });
    const once = await fetch(url.replace("Echo?", "Once?").replace(/Echo$/, "Once"));
    expect(once.status).toBe(405);
  });

  test("compresses each response as its handler says, and tells it which requests were compressed", async () => {
    const { address } = await serve({
      unary: (request, call) => {
        call.set(compressResponses, request.fail === "");
        return { text: "x".repeat(5_000), server: String(call.get(requestCompressed)) };
      },
    });
    const url = `http://${address}/micro.test.v1.EchoService/Echo`;
    const encodingOf = async (fail: string) => {
      const { headers } = await post(url, JSON.stringify({ fail }));
      return headers.get("content-encoding");
    };
    expect(await encodingOf("")).toBe("gzip");
    expect(await encodingOf("secret")).toBeNull();
    const zipped = gzipSync('{"text":"hi"}');
    expect(await (await post(url, zipped, { "content-encoding": "gzip" })).json()).toMatchObject({
      server: "true",
    });
    expect(await (await post(url, "{}")).json()).toMatchObject({ server: "false" });
  });

  test("responds to a call whose authority is a list of servers, as in grpcio", async () => {
    const { address } = await serve(text);
    const session = connectHttp2(`http://${address}`);
    open.push(session);
    const stream = session.request({
      ":method": "POST",
      ":path": "/micro.test.v1.EchoService/Echo",
      ":authority": `${address},127.0.0.1:2,127.0.0.1:3`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(new Uint8Array(5));
    stream.resume();
    const [header] = await once(stream, "response");
    expect(header[":status"]).toBe(200);
    const [trailers] = await once(stream, "trailers");
    expect(trailers["grpc-status"]).toBe("0");
  });

  test.each([
    ["connect-timeout-ms", "application/json", "2147483648", '{"text":"hi"}'],
    ["connect-timeout-ms", "application/json", "9999999999", '{"text":"hi"}'],
    ["grpc-timeout", "application/grpc-web+json", "99999999H", '\0\0\0\0\x0d{"text":"hi"}'],
    ["grpc-timeout", "application/grpc-web+json", "99999999S", '\0\0\0\0\x0d{"text":"hi"}'],
  ])("takes a %s that no timer holds, as %s: %s", async (name, type, timeout, body) => {
    // Longer than the millisecond after which such a timer fires.
    const { address } = await serve({
      unary: async (request) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { text: request.text };
      },
    });
    const response = await fetch(`http://${address}/micro.test.v1.EchoService/Echo`, {
      method: "POST",
      headers: { "content-type": type, [name]: timeout },
      body,
    });
    expect(await response.text()).toContain('"text":"hi"');
  });

  test("says in JSON what is wrong with a call", async () => {
    const { address } = await serve(text);
    const post = (path: string, body: string) =>
      fetch(`http://${address}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
    const failed = await post("micro.test.v1.EchoService/Echo", '{"text":"cat","fail":"x"}');
    expect(failed.status).toBe(404);
    expect(failed.headers.get("micro-outcome")).toBe("executed");
    expect(await failed.json()).toMatchObject({ code: "not_found", message: "no cat – ☃" });
    const malformed = await post("micro.test.v1.EchoService/Echo", "{");
    expect(malformed.status).toBe(400);
    const unknown = await post("micro.test.v1.EchoService/Nothing", "{}");
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ code: "unimplemented" });
    expect((await fetch(`http://${address}/favicon.ico`)).status).toBe(404);
  });

  for (const [name, transport] of Object.entries({
    "gRPC over HTTP/2": (baseUrl: string) =>
      createGrpcTransport({ baseUrl, sessionManager: session(baseUrl) }),
    "gRPC-Web over HTTP/1.1": (baseUrl: string) =>
      createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
    "Connect over HTTP/2": (baseUrl: string) =>
      createConnectTransport({
        baseUrl,
        httpVersion: "2",
        useBinaryFormat: true,
        sessionManager: session(baseUrl),
      }),
    "Connect in JSON over HTTP/2": (baseUrl: string) =>
      createConnectTransport({
        baseUrl,
        httpVersion: "2",
        useBinaryFormat: false,
        sessionManager: session(baseUrl),
      }),
  })) {
    test(`answers ${name}, all kinds`, async () => {
      const { address } = await serve(text);
      const client = createClient(EchoService, transport(`http://${address}`));
      let header: Headers | undefined;
      let trailer: Headers | undefined;
      const answer = await client.echo(
        { text: "hi" },
        { onHeader: (it) => (header = it), onTrailer: (it) => (trailer = it) },
      );
      expect(answer.text).toBe("HI");
      expect(header?.get("x-served")).toBe("here");
      expect(header?.get("x-many")).toBe("a, b, c");
      expect(trailer?.get("x-cost")).toBe("7");
      expect(trailer?.get("sum-bin")).toBe("AP8");
      const indexes: number[] = [];
      for await (const { index } of client.repeat({ count: 3 })) indexes.push(index);
      expect(indexes).toEqual([0, 1, 2]);
      expect((await client.collect(of({ text: "a" }))).text).toBe("a");
      const texts: string[] = [];
      for await (const said of client.chat(of({ text: "a" }, { text: "b" }))) texts.push(said.text);
      expect(texts).toEqual(["a", "b"]);
      await expect(client.echo({ text: "cat", fail: "x" })).rejects.toMatchObject({
        code: 5,
        rawMessage: "no cat – ☃",
        details: [{ type: "google.protobuf.Duration", value: Uint8Array.of(8, 3) }],
      });
      const large = client.echo({ payload: new Uint8Array(5 * 1024 * 1024) });
      await expect(large).rejects.toMatchObject({ code: 8 });
      expect((await client.echo({ text: "on" })).text).toBe("ON");
    });

    test(`cancels a call by ${name}, and lets none outlast its deadline`, async () => {
      const begun = gate();
      const cancelled = gate<string>();
      const { address } = await serve({
        unary: (request, call) => {
          call.signal.addEventListener("abort", () => cancelled.open(call.signal.reason.code));
          if (request.text === "wait") begun.open();
          return new Promise(() => undefined);
        },
      });
      const client = createClient(EchoService, transport(`http://${address}`));
      const controller = new AbortController();
      const given = client.echo({ text: "wait" }, { signal: controller.signal });
      given.catch(() => undefined);
      await begun.promise;
      controller.abort();
      await expect(given).rejects.toMatchObject({ code: 1 });
      expect(await cancelled.promise).toBe("canceled");
      await expect(client.echo({}, { timeoutMs: 30 })).rejects.toMatchObject({ code: 4 });
    });
  }

  test("goes on with a connection of HTTP/1.1 whose last request was not read to the end", async () => {
    const { address } = await serve(text, { http: { maxRequestBytes: 100_000 } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    open.push({ close: () => agent.destroy() });
    const post = (path: string, type: string, body: Uint8Array) =>
      new Promise<number | undefined>((resolve, reject) => {
        const url = `http://${address}/micro.test.v1.EchoService/${path}`;
        const sent = request(url, { agent, method: "POST", headers: { "content-type": type } });
        sent.once("error", reject);
        sent.once("response", (answer) =>
          answer.resume().once("end", () => resolve(answer.statusCode)),
        );
        sent.end(body);
      });
    const large = new Uint8Array(300_005);
    large.set([0, 0, 4, 0x93, 0xe0, 0x1a, 0xdc, 0xa7, 0x12]);
    for (let round = 0; round < 3; round++) {
      expect(await post("Collect", "application/connect+proto", large)).toBe(200);
      expect(await post("Echo", "application/proto", large)).toBe(429);
      expect(await post("Echo", "application/json", Buffer.from("{}"))).toBe(200);
    }
  });

  test("gives up calls that wait behind another on a connection of HTTP/1.1 that is lost", async () => {
    const [begun, cancelled] = [gate(), gate()];
    let [count, given] = [0, 0];
    const listener = await serve({
      unary: (_, call) => {
        call.signal.addEventListener("abort", () => ++given === 3 && cancelled.open());
        if (++count === 3) begun.open();
        return new Promise(() => undefined);
      },
    });
    const socket = connect(Number(listener.address.split(":")[1]), "127.0.0.1");
    const header =
      "host: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    socket.write(`POST /micro.test.v1.EchoService/Echo HTTP/1.1\r\n${header}`.repeat(3));
    await begun.promise;
    socket.destroy();
    await cancelled.promise;
    await expect.poll(() => listener.openCalls).toBe(0);
  });

  test("encodes the message of an error as gRPC does, and nothing else of it", async () => {
    const { address } = await serve({
      unary: ({ text }) => {
        throw new MicroError("not_found", text);
      },
    });
    const session = connectHttp2(`http://${address}`);
    open.push({ close: () => session.destroy() });
    const messageOf = async (text: string) => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/micro.test.v1.EchoService/Echo",
        "content-type": "application/grpc+json",
        te: "trailers",
      });
      const body = Buffer.from(JSON.stringify({ text }));
      stream.end(Buffer.concat([Buffer.of(0, 0, 0, 0, body.length), body]));
      stream.resume();
      const [header] = (await once(stream, "response")) as [Record<string, string>];
      return header["grpc-message"];
    };
    expect(await messageOf("a/b: c? (d) & 'e'~")).toBe("a/b: c? (d) & 'e'~");
    expect(await messageOf(" 100% ☃\n😈 ")).toBe("%20100%25 %E2%98%83%0A%F0%9F%98%88%20");
  });

  test("tells a caller by HTTP/2 that is still sending that the response has ended", async () => {
    const { address } = await serve(text, { http: { maxRequestBytes: 100_000 } });
    const session = connectHttp2(`http://${address}`);
    open.push({ close: () => session.destroy() });
    const stream = session.request({
      ":method": "POST",
      ":path": "/micro.test.v1.EchoService/Collect",
      "content-type": "application/connect+proto",
    });
    stream.write(Buffer.of(0, 0, 4, 0x93, 0xe0));
    stream.resume();
    await once(stream, "close");
    expect(stream.rstCode).toBe(0);
  });

  test.each(["connect", "grpc-web"] as const)(
    "stops who writes faster than the other side reads, by HTTP/1.1: %s",
    async (protocol) => {
      // HTTP/1.1 has no windows: only as much is sent as the system's buffers hold.
      const most = 64 * 1024 * 1024;
      // Incompressible.
      const payload = randomBytes(256 * 1024);
      let answered = 0;
      let requested = 0;
      const { address } = await serve({
        async *stream(requests, call) {
          if (call.method.name.endsWith("Repeat")) for (;;) yield { index: answered++, payload };
          for await (const _ of requests) await new Promise(() => undefined);
        },
      });
      const channel = await httpTransport({ protocol, httpVersion: "1.1" }).dial(address);
      open.push(channel);
      const answers = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
      await answers.next();
      expect((await settled(() => answered)) * payload.length).toBeLessThan(most);
      const requests = (function* () {
        for (;;) yield { count: requested++, payload };
      })();
      const sent = channel.stream(echo.collect, requests, outgoing())[Symbol.asyncIterator]();
      const ended = sent.next().catch(() => undefined);
      await expect.poll(() => requested).toBeGreaterThan(0);
      expect((await settled(() => requested)) * payload.length).toBeLessThan(most);
      await Promise.all([answers.return?.(), sent.return?.(), ended]);
    },
  );

  test("closes what says nothing, and what says nothing known", async () => {
    const errors: string[] = [];
    const { address } = await serve(
      text,
      { handshakeTimeoutMs: 100 },
      { onConnectionError: (error) => errors.push(error.code) },
    );
    for (const said of [
      "",
      "P",
      "\x00\x01",
      "get / http",
      "PRI * HTTP/2.0\r\n",
      "POST / HTTP/1.1\r\n",
    ]) {
      await closed(address, said);
    }
    expect(errors.sort().slice(0, 6)).toEqual([
      "deadline_exceeded",
      "deadline_exceeded",
      "deadline_exceeded",
      "deadline_exceeded",
      "invalid_argument",
      "invalid_argument",
    ]);
  });

  const ways: Record<string, Transport> = {
    native: tcpTransport(),
    connect: httpTransport({ protocol: "connect" }),
    grpc: httpTransport({ protocol: "grpc" }),
    "grpc-web": httpTransport({ protocol: "grpc-web" }),
    mucp: goMicroTransport(),
  };
  const off: Record<string, TcpTransportOptions> = {
    native: { native: false },
    connect: { http: { connect: false } },
    grpc: { http: { grpc: false } },
    "grpc-web": { http: { grpcWeb: false } },
    mucp: { goMicro: false },
    "connect, grpc and grpc-web": { http: false },
    "all but native": { http: false, goMicro: false },
  };

  test.each(Object.entries(off))("speaks all but %s where that is off", async (what, options) => {
    const { address } = await serve(text, options);
    for (const [name, transport] of Object.entries(ways)) {
      const call = async () => {
        const channel = await transport.dial(address);
        open.push(channel);
        return (await channel.unary(echo.echo, { text: "hi" }, outgoing())).text;
      };
      const said = call().catch(({ code }: MicroError) => code);
      const isOff =
        what === "all but native" ? name !== "native" : what.split(/, | and /).includes(name);
      expect([name, await said]).toEqual([name, isOff ? expect.not.stringMatching("HI") : "HI"]);
    }
  });

  test("says of what it never asked a handler for that it was not executed", async () => {
    const { address } = await serve({
      unary: () => {
        throw new MicroError("internal", "a handler was asked");
      },
    });
    const ask = async (body: string, method = "Echo") => {
      const answer = await post(`http://${address}/micro.test.v1.EchoService/${method}`, body);
      return [answer.status, answer.headers.get("micro-outcome")];
    };
    expect(await ask("no JSON")).toEqual([400, "not-executed"]);
    expect(await ask("{}", "Nothing")).toEqual([404, "not-executed"]);
    expect(await ask("{}")).toEqual([500, null]);
  });

  test("closes connections by HTTP/2 that are idle while it drains", async () => {
    // Only the drain ends them in time.
    const listener = await serve(text, { keepaliveIntervalMs: 600_000 });
    const session = connectHttp2(`http://${listener.address}`);
    open.push({ close: () => session.destroy() });
    await once(session, "remoteSettings");
    const closed = once(session, "close");
    await listener.drain();
    await closed;
  });

  test("leaves it to a caller by HTTP/2 to close a connection that drains, and closes it when he does not", async () => {
    const asked = gate();
    const answer = gate();
    const listener = await serve({
      unary: async () => {
        asked.open();
        await answer.promise;
        return {};
      },
    });
    const session = connectHttp2(`http://${listener.address}`);
    open.push({ close: () => session.destroy() });
    // Node's client would close it at the GOAWAY.
    session.close = () => undefined;
    const stream = session.request({
      ":method": "POST",
      ":path": "/micro.test.v1.EchoService/Echo",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(new Uint8Array(5));
    stream.resume();
    await asked.promise;
    const goaway = once(session, "goaway");
    const closing = listener.close(10_000);
    await goaway;
    answer.open();
    await once(stream, "close");
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect(session.destroyed).toBe(false);
    await closing;
  });

  test("lets pages of chosen origins call", async () => {
    const { address } = await serve(text, { http: { cors: { origins: ["https://a.example"] } } });
    const url = `http://${address}/micro.test.v1.EchoService/Echo`;
    const ask = (origin: string) =>
      fetch(url, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
    const allowed = await ask("https://a.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://a.example");
    expect(allowed.headers.get("access-control-allow-headers")).toContain(
      "Connect-Protocol-Version",
    );
    const other = await ask("https://b.example");
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("a client", () => {
  test.each(["grpc", "grpc-web", "connect"] as const)(
    "tells a server that went away from one that cancelled a call: %s",
    async (protocol) => {
      const server = createHttp2Server().on("sessionError", () => undefined);
      let end = (_stream: ServerHttp2Stream, _socket: Socket): unknown => undefined;
      server.on("connection", (socket: Socket) => {
        server.once("stream", (stream) => {
          stream.on("error", () => undefined);
          end(stream, socket);
        });
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      open.push(server);
      const { port } = server.address() as AddressInfo;
      const ended = async (how: typeof end) => {
        end = how;
        const channel = await httpTransport({ protocol }).dial(`127.0.0.1:${port}`);
        open.push(channel);
        const call = channel.unary(echo.echo, {}, outgoing());
        return call.catch(({ code, outcome }: MicroError) => [code, outcome]);
      };
      expect(await ended((_, socket) => socket.end())).toEqual(["unavailable", "unknown"]);
      expect(await ended((_, socket) => socket.destroy())).toEqual(["unavailable", "unknown"]);
      expect(await ended((_, socket) => socket.resetAndDestroy())).toEqual([
        "unavailable",
        "unknown",
      ]);
      expect(await ended((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM))).toEqual([
        "unavailable",
        "not-executed",
      ]);
      expect(await ended((stream) => stream.close(constants.NGHTTP2_NO_ERROR))).toEqual([
        "unavailable",
        "unknown",
      ]);
      expect(await ended((stream) => stream.close(constants.NGHTTP2_CANCEL))).toEqual([
        "canceled",
        "unknown",
      ]);
    },
  );
});

function session(baseUrl: string): Http2SessionManager {
  const manager = new Http2SessionManager(baseUrl);
  open.push({ close: () => manager.abort() });
  return manager;
}

async function* of<T>(...values: T[]): AsyncGenerator<T> {
  yield* values;
}

function closed(address: string, said: string): Promise<void> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect({ host: host as string, port: Number(port) });
    socket.write(Buffer.from(said, "latin1"));
    socket.on("error", () => undefined);
    socket.resume();
    socket.once("close", () => resolve());
  });
}
