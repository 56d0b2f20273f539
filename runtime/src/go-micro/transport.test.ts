import { connect, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { type MicroError, tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { type Answers, answering, settled } from "../../../test/contract/transport-fixture.ts";
import { EchoRequestSchema } from "../../../test/gen/micro/test/v1/echo_pb.ts";
import { MessageReader, type ReadMessage } from "./message-reader.ts";

/*
 * Sends bytes as go-micro clients write them, to the port of a Micro-ES server. Real Go programs
 * are covered by test/interop.
 */

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/**
 * Starts a listener with small limits, and records its errors for connections that violate them.
 */
async function listen(answers: Answers = {}, goMicro: object | false = {}) {
  const errors: MicroError[] = [];
  const transport = tcpTransport({ maxMessageBytes: 10_000, handshakeTimeoutMs: 300, goMicro });
  const listener: Listener = await transport.listen("127.0.0.1:0", answering(answers), {
    onConnectionError: (error) => errors.push(error),
  });
  open.push(() => listener.close());
  return { listener, errors };
}

/** A connection that keeps the messages it receives. */
class Wire {
  readonly socket: Socket;
  readonly messages: ReadMessage[] = [];
  text = "";
  closed = false;

  constructor({ address }: Listener) {
    const reader = new MessageReader({ maxBodyBytes: 1_000_000 });
    this.socket = connect(Number(address.split(":").pop()), "127.0.0.1");
    this.socket.on("error", () => undefined);
    this.socket.on("data", (bytes) => {
      this.text += bytes.toString();
      this.messages.push(...reader.read(bytes));
    });
    this.socket.once("close", () => {
      this.closed = true;
    });
    open.push(() => void this.socket.destroy());
  }

  /** Sends a request as Go's `http.Request.Write` does: with a chunked body if it is empty. */
  send(lines: Record<string, string>, body: string | Uint8Array = ""): this {
    const bytes = Buffer.from(body);
    const framing =
      bytes.length > 0 ? `Content-Length: ${bytes.length}` : "Transfer-Encoding: chunked";
    const head = Object.entries({ Host: "127.0.0.1", "User-Agent": "Go-http-client/1.1", ...lines })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    this.socket.write(`POST / HTTP/1.1\r\n${head}${framing}\r\n\r\n`);
    this.socket.write(bytes.length > 0 ? bytes : "0\r\n\r\n");
    return this;
  }

  async answers(count: number): Promise<ReadMessage[]> {
    await expect.poll(() => this.messages.length).toBeGreaterThanOrEqual(count);
    return this.messages;
  }

  async answer(): Promise<ReadMessage> {
    return (await this.answers(1))[0]!;
  }

  async ended(): Promise<void> {
    await expect.poll(() => this.closed).toBe(true);
  }
}

const unary = {
  "Micro-Service": "echo",
  "Micro-Endpoint": "EchoService.Echo",
  "Micro-Method": "EchoService.Echo",
  "Micro-Id": "0",
  "Content-Type": "application/json",
};
const calling = (endpoint: string) => ({
  ...unary,
  "Micro-Endpoint": endpoint,
  "Micro-Method": endpoint,
});
const text = ({ body }: ReadMessage) => Buffer.from(body).toString();
const errorOf = ({ header }: ReadMessage) => JSON.parse(header.get("micro-error") ?? "null");
const echoes: Answers = { unary: (request) => ({ text: request.text }) };

describe("unary calls", () => {
  test("are refused as json-rpc if the id is not a string, a number or null, however deep", async () => {
    const { listener } = await listen(echoes);
    const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    const lines = { "Content-Type": "application/json-rpc" };
    for (const [id, params] of [
      ["{}", "{}"],
      [deep(4_000), "{}"],
      ["1", deep(4_000)],
    ]) {
      const wire = new Wire(listener);
      const body = `{"method":"EchoService.Echo","params":[${params}],"id":${id}}`;
      const { body: response } = await wire.send(lines, body).answer();
      expect(Buffer.from(response).toString()).toContain('\\"code\\":400');
    }
  });

  test("get a JSON response with 200 and a length, and the connection is reused", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    wire.send(unary, '{"text":"a"}');
    const first = await wire.answer();
    expect(first.startLine).toBe("HTTP/1.1 200 OK");
    expect(first.header.get("content-type")).toBe("application/json");
    expect(text(first)).toBe('{"text":"a"}');
    wire.send({ ...unary, "Micro-Id": "1" }, '{"text":"b"}');
    expect(text((await wire.answers(2))[1]!)).toBe('{"text":"b"}');
  });

  test("get a protobuf response, where an empty message has no body", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    const body = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "a" }));
    wire.send({ ...unary, "Content-Type": "application/protobuf" }, body);
    expect(Buffer.from((await wire.answer()).body)).toEqual(Buffer.from(body));
    wire.send({ ...unary, "Content-Type": "application/protobuf" });
    const [, empty] = await wire.answers(2);
    expect(empty!.body).toHaveLength(0);
    expect(empty!.header.has("content-type")).toBe(false);
  });

  test("in JSON never have an empty response, and treat an empty request as an empty message", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    expect(text(await wire.send(unary).answer())).toBe("{}");
  });

  test.each([
    ["a charset", { ...unary, "Content-Type": "application/json; charset=utf-8" }],
    ["X- names", { "X-Micro-Endpoint": "EchoService.Echo", "Content-Type": "application/json" }],
    ["a method alone", { "Micro-Method": "EchoService.Echo", "Content-Type": "application/json" }],
    ["a forwarded stream", { ...unary, "Micro-Stream": "7" }],
  ])("with %s are understood", async (_what, lines) => {
    const wire = new Wire((await listen(echoes)).listener);
    expect(text(await wire.send(lines, '{"text":"a"}').answer())).toBe('{"text":"a"}');
  });

  test("that are pipelined get their responses in order", async () => {
    const wire = new Wire(
      (
        await listen({
          unary: async (request) => {
            await new Promise((resolve) => setTimeout(resolve, request.delayMs));
            return { text: request.text };
          },
        })
      ).listener,
    );
    wire.send(unary, '{"text":"slow","delayMs":50}').send(unary, '{"text":"fast"}');
    expect((await wire.answers(2)).map(text)).toEqual(['{"text":"slow"}', '{"text":"fast"}']);
  });

  test("carry metadata and the deadline in nanoseconds", async () => {
    let seen:
      | { tenant: string | undefined; own: string | undefined; remainingMs: number }
      | undefined;
    const wire = new Wire(
      (
        await listen({
          unary: (_request, call) => {
            const { requestMetadata } = call;
            seen = {
              tenant: requestMetadata.get("x-tenant"),
              own: requestMetadata.get("micro-service") ?? requestMetadata.get("timeout"),
              remainingMs: call.remainingMs(),
            };
            call.responseMetadata.set("x-served-by", "us");
            return {};
          },
        })
      ).listener,
    );
    wire.send({ ...unary, "X-Tenant": "acme", Timeout: "5000000000" });
    expect((await wire.answer()).header.get("x-served-by")).toBe("us");
    expect(seen).toMatchObject({ tenant: "acme", own: undefined });
    expect(seen!.remainingMs).toBeGreaterThan(1_000);
    expect(seen!.remainingMs).toBeLessThanOrEqual(5_000);
  });

  test("accept a deadline beyond the range of timers", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    for (const nanoseconds of ["9223372036854775807", "2147483648000000", "9999999999999999999"]) {
      const sent = wire.messages.length;
      wire.send({ ...unary, Timeout: nanoseconds }, '{"text":"a"}');
      expect(text((await wire.answers(sent + 1))[sent]!)).toBe('{"text":"a"}');
    }
  });

  test("end at their deadline with 408, which go-micro retries", async () => {
    const wire = new Wire((await listen({ unary: () => new Promise(() => undefined) })).listener);
    wire.send({ ...unary, Timeout: "30000000" });
    expect(errorOf(await wire.answer())).toMatchObject({ code: 408, status: "Request Timeout" });
  });

  test("are cancelled when the connection closes", async () => {
    let cancelled = false;
    const wire = new Wire(
      (
        await listen({
          unary: (_request, call) =>
            new Promise(() => {
              call.signal.addEventListener("abort", () => {
                cancelled = true;
              });
              wire.socket.destroy();
            }),
        })
      ).listener,
    );
    wire.send(unary);
    await expect.poll(() => cancelled).toBe(true);
  });

  test("end the connection if the client asks for it", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    wire.send({ ...unary, Connection: "close" });
    expect(text(await wire.answer())).toBe("{}");
    await wire.ended();
  });
});

describe("errors", () => {
  test("are go-micro's JSON in ASCII, twice, with an empty body", async () => {
    const { MicroError: Failure } = await import("@micro-es/runtime");
    const wire = new Wire(
      (
        await listen({
          unary: () => {
            throw new Failure("not_found", "no Größe\nhere", { outcome: "executed" });
          },
        })
      ).listener,
    );
    const answer = await wire.send(unary).answer();
    expect(answer.startLine).toBe("HTTP/1.1 200 OK");
    expect(errorOf(answer)).toEqual({
      id: "echo",
      code: 404,
      detail: "no Größe\nhere",
      status: "Not Found",
    });
    expect(answer.header.get("x-micro-error")).toBe(answer.header.get("micro-error"));
    expect(answer.header.get("micro-error")).toMatch(/^[\x20-\x7e]+$/);
    expect(answer.body).toHaveLength(0);
  });

  test.each([
    ["an unknown endpoint", calling("EchoService.Nope"), "{}", 501],
    ["an endpoint of no form", calling("../../etc/passwd"), "{}", 501],
    ["an endpoint in other case", calling("echoservice.echo"), "{}", 501],
    ["an endpoint with a package", calling("other.EchoService.Echo"), "{}", 501],
    ["a path as an endpoint", calling("EchoService/Echo"), "{}", 501],
    ["a service of another name", { ...unary, "Micro-Service": "billing" }, "{}", 501],
    ["two endpoints", { ...unary, "Micro-Method": "EchoService.Watch" }, "{}", 400],
    ["two endpoints by X-", { ...unary, "X-Micro-Endpoint": "EchoService.Watch" }, "{}", 400],
    ["two services", { ...unary, "X-Micro-Service": "billing" }, "{}", 400],
    [
      "an envelope of another endpoint",
      { ...unary, "Content-Type": "application/json-rpc" },
      '{"method":"EchoService.Watch","params":[{}],"id":1}',
      400,
    ],
    ["a stream as a call", calling("EchoService.Repeat"), "{}", 501],
    ["an unknown content type", { ...unary, "Content-Type": "application/odd" }, "{}", 501],
    ["invalid JSON", unary, "{", 400],
    ["JSON of another type", unary, '{"text":7}', 400],
    ["invalid protobuf", { ...unary, "Content-Type": "application/protobuf" }, "\xff\xff", 400],
    ["a frame that lies", { ...unary, "Content-Type": "application/grpc" }, "\0\0\0\0\x09a", 400],
    ["an event", { ...unary, "Micro-Topic": "greetings" }, "{}", 501],
  ])("respond to %s, and the connection stays open", async (_what, lines, body, code) => {
    const { listener, errors } = await listen(echoes);
    const wire = new Wire(listener);
    wire.send(lines, Buffer.from(body, "latin1"));
    expect(errorOf(await wire.answer())).toMatchObject({ code });
    wire.send(unary, '{"text":"on"}');
    expect(text((await wire.answers(2))[1]!)).toBe('{"text":"on"}');
    expect(errors).toEqual([]);
  });

  test("while draining are 408, so that go-micro calls another node", async () => {
    const { listener } = await listen(echoes);
    const wire = new Wire(listener);
    await wire.send(unary).answer();
    await listener.drain();
    wire.send(unary);
    expect(errorOf((await wire.answers(2))[1]!)).toMatchObject({ code: 408 });
  });
});

describe("streams", () => {
  const repeat = { ...calling("EchoService.Repeat"), "Micro-Stream": "3" };
  const chat = { ...calling("EchoService.Chat"), "Micro-Stream": "4" };
  const talk: Answers = {
    async *stream(requests) {
      for await (const { text: said } of requests) yield { text: said };
    },
  };

  test("discard the first body, respond to the next, and end with EOS", async () => {
    const wire = new Wire(
      (
        await listen({
          async *stream(requests) {
            const first = await requests[Symbol.asyncIterator]().next();
            for (let index = 0; index < 2; index++) yield { text: first.value?.text ?? "", index };
          },
        })
      ).listener,
    );
    wire.send(repeat, '{"text":"thrown away"}').send(repeat, '{"text":"taken"}');
    const messages = await wire.answers(3);
    expect(messages.slice(0, 2).map(text)).toEqual([
      '{"text":"taken"}',
      '{"text":"taken","index":1}',
    ]);
    expect(messages[2]!.header.get("micro-error")).toBe("EOS");
  });

  test("go both ways until the client says EOS, and several share a connection", async () => {
    const wire = new Wire((await listen(talk)).listener);
    const other = { ...chat, "Micro-Stream": "5" };
    wire.send(chat).send(other).send(chat, '{"text":"a"}');
    expect(text(await wire.answer())).toBe('{"text":"a"}');
    wire.send(other, '{"text":"b"}');
    const [, second] = await wire.answers(2);
    expect([second!.header.get("micro-stream"), text(second!)]).toEqual(["5", '{"text":"b"}']);
    wire.send({ ...chat, "Micro-Error": "EOS" });
    const [, , end] = await wire.answers(3);
    expect(end!.header.get("micro-error")).toBe("EOS");
    expect(end!.header.get("micro-stream")).toBe("4");
  });

  test("that have ended are not restarted by a late message", async () => {
    let begun = 0;
    const wire = new Wire(
      (
        await listen({
          async *stream() {
            begun++;
            yield {};
          },
        })
      ).listener,
    );
    wire.send(chat);
    await wire.answers(2);
    wire.send(chat, '{"text":"late"}').send({ ...chat, "Micro-Error": "EOS" });
    wire.send(calling("EchoService.Nope"));
    await wire.answers(3);
    expect(begun).toBe(1);
  });

  test("stop their handler when the client reads nothing", async () => {
    let written = 0;
    const wire = new Wire(
      (
        await listen({
          async *stream() {
            for (; written < 100_000; written++) yield { payload: new Uint8Array(5_000) };
          },
        })
      ).listener,
    );
    wire.socket.pause();
    wire.send(repeat).send(repeat, "{}");
    let before = -1;
    await expect
      .poll(
        () => {
          const still = written > 0 && written === before;
          before = written;
          return still;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(written).toBeLessThan(100_000);
  });

  test("stop the client when their handler reads nothing", async () => {
    const wire = new Wire(
      (
        await listen({
          async *stream(_requests, call) {
            await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
            yield {};
          },
        })
      ).listener,
    );
    wire.send(chat);
    let sent = 0;
    for (; sent < 10_000 && !wire.socket.writableNeedDrain; sent++) {
      wire.send(chat, JSON.stringify({ text: "x".repeat(9_000) }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(10_000);
  });
});

describe("the envelopes from before go-micro 1", () => {
  test("json-rpc", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    const lines = { "Content-Type": "application/json" };
    wire.send(lines, '{"method":"EchoService.Echo","params":[{"text":"a"}],"id":"7"}');
    expect(JSON.parse(text(await wire.answer()))).toEqual({
      id: "7",
      result: { text: "a" },
      error: null,
    });
    wire.send(lines, '{"method":"EchoService.Nope","params":[],"id":"8"}');
    const [, failed] = await wire.answers(2);
    expect(JSON.parse(text(failed!)).error).toContain("501");
  });

  test("proto-rpc", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "a" }));
    const envelope = Buffer.from([
      0x0a,
      16,
      ...Buffer.from("EchoService.Echo"),
      0x11,
      7,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    const block = (bytes: Uint8Array) => Buffer.from([0, 0, 0, bytes.length, ...bytes]);
    const lines = { "Content-Type": "application/protobuf" };
    wire.send(lines, Buffer.concat([block(envelope), block(message)]));
    const { body } = await wire.answer();
    expect(Buffer.from(body)).toEqual(Buffer.concat([block(envelope), block(message)]));
    wire.send(lines, Buffer.from([0, 0, 1, 0, 1]));
    expect(errorOf((await wire.answers(2))[1]!)).toMatchObject({ code: 400 });
  });
});

describe("the port", () => {
  test("serves Connect and go-micro, each on its connections", async () => {
    const { listener } = await listen(echoes);
    const url = `http://${listener.address}/micro.test.v1.EchoService/Echo`;
    const init = {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
    };
    expect(await (await fetch(url, { ...init, body: '{"text":"c"}' })).json()).toEqual({
      text: "c",
    });
    const wire = new Wire(listener);
    expect(text(await wire.send(unary, '{"text":"g"}').answer())).toBe('{"text":"g"}');
  });

  test("judges each request of a connection by itself, as a proxy sends those of many callers", async () => {
    const { listener } = await listen(echoes);
    const rpc = "/micro.test.v1.EchoService/Echo";
    const call = (path: string, body: string, lines: object = {}) =>
      `${Object.entries({ Host: "localhost", "Content-Type": "application/json", ...lines }).reduce(
        (head, [name, value]) => `${head}${name}: ${value}\r\n`,
        `POST ${path} HTTP/1.1\r\n`,
      )}Content-Length: ${body.length}\r\n\r\n${body}`;
    const goMicro = call("/", '{"text":"go"}', unary);
    const http = (name: string) => call(rpc, `{"text":"${name}"}`);
    const probe = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // A path that is not go-micro's with header lines that are.
    const disguised = call("/public/Nothing", '{"text":"disguised"}', unary);
    const sequences = [
      [goMicro, http("a"), goMicro, probe, http("b"), goMicro, goMicro],
      [http("a"), goMicro, disguised, goMicro, http("b")],
      [goMicro, disguised, probe, goMicro],
    ];
    const expected = new Map([
      [goMicro, '{"text":"go"}'],
      [http("a"), '{"text":"a"}'],
      [http("b"), '{"text":"b"}'],
      [probe, "ok\n"],
    ]);
    for (const requests of sequences) {
      for (const pipelined of [false, true]) {
        const wire = new Wire(listener);
        for (const [at, request] of requests.entries()) {
          wire.socket.write(request);
          if (!pipelined) await wire.answers(at + 1);
        }
        const got = (await wire.answers(requests.length)).map(({ startLine, body }) =>
          startLine.endsWith("404 Not Found") ? "404" : Buffer.from(body).toString(),
        );
        expect(got).toEqual(requests.map((request) => expected.get(request) ?? "404"));
      }
    }
    await expect.poll(() => listener.openCalls).toBe(0);
  });

  test("refuses other paths if HTTP is switched off", async () => {
    const transport = tcpTransport({ http: false });
    const listener = await transport.listen("127.0.0.1:0", answering(echoes));
    open.push(() => listener.close());
    const wire = new Wire(listener);
    wire.send(unary, '{"text":"a"}');
    await wire.answers(1);
    wire.socket.write("POST /micro.test.v1.EchoService/Echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect((await wire.answers(2))[1]?.startLine).toBe("HTTP/1.1 404 Not Found");
    await wire.ended();
  });

  test("refuses a stream on a connection that carried other requests, and keeps it open", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    wire.socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await wire.answers(1);
    wire.send({ ...calling("EchoService.Watch"), "Micro-Stream": "1" }, "{}");
    expect(errorOf((await wire.answers(2))[1]!)).toMatchObject({ code: 501 });
    wire.send(unary, '{"text":"on"}');
    expect(text((await wire.answers(3))[2]!)).toBe('{"text":"on"}');
  });

  test("says that it is switched off", async () => {
    const wire = new Wire((await listen(echoes, false)).listener);
    wire.send(unary, "{}");
    await expect.poll(() => wire.text).toMatch(/^HTTP\/1\.1 404[\s\S]*switched off.*goMicro/);
  });
});

describe("hostile clients", () => {
  const start = "POST / HTTP/1.1\r\n";
  test.each<[what: string, bytes: string, code: string]>([
    [
      "a body that is said to be too large",
      `${start}Content-Length: 10001\r\n\r\n`,
      "resource_exhausted",
    ],
    ["a length that is not a number", `${start}Content-Length: -1\r\n\r\n`, "invalid_argument"],
    ["two lengths", `${start}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, "invalid_argument"],
    [
      "a length and chunks",
      `${start}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      "invalid_argument",
    ],
    [
      "another transfer encoding",
      `${start}Transfer-Encoding: gzip, chunked\r\n\r\n`,
      "invalid_argument",
    ],
    [
      "a chunk that is too large",
      `${start}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n`,
      "resource_exhausted",
    ],
    [
      "an invalid chunk size",
      `${start}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`,
      "invalid_argument",
    ],
    [
      "a chunk that is longer than it says",
      `${start}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n`,
      "invalid_argument",
    ],
    [
      "a chunk size without an end",
      `${start}Transfer-Encoding: chunked\r\n\r\n${"0".repeat(300)}`,
      "invalid_argument",
    ],
    ["a header line without a name", `${start}: value\r\n\r\n`, "invalid_argument"],
    ["a folded header line", `${start}A: b\r\n c\r\n\r\n`, "invalid_argument"],
    ["a header that is too large", `${start}A: ${"b".repeat(40_000)}`, "resource_exhausted"],
    ["too many header lines", `${start}${"A: b\r\n".repeat(161)}\r\n`, "resource_exhausted"],
    ["another version", "POST / HTTP/9.9\r\n\r\n", "invalid_argument"],
    ["a header that stops", `${start}Micro-`, "deadline_exceeded"],
    [
      "trailers without an end",
      `${start}Transfer-Encoding: chunked\r\n\r\n0\r\n${"A: b\r\n".repeat(6_000)}`,
      "resource_exhausted",
    ],
    ["a body that stops", `${start}Content-Length: 10\r\n\r\nabc`, "deadline_exceeded"],
  ])("with %s get an error and are closed", async (_what, bytes, code) => {
    const { listener, errors } = await listen(echoes);
    const wire = new Wire(listener);
    wire.socket.write(bytes);
    await wire.ended();
    expect(errors.map((error) => error.code)).toEqual([code]);
    expect(wire.text).toMatch(/^HTTP\/1\.1 200 OK\r\nMicro-Error: /);
    const neighbour = new Wire(listener);
    expect(text(await neighbour.send(unary, '{"text":"on"}').answer())).toBe('{"text":"on"}');
  });

  test.each([
    ["a body", `${start}Content-Length: 9000\r\n\r\n`, "a"],
    ["a body in chunks", `${start}Transfer-Encoding: chunked\r\n\r\n`, "1\r\na\r\n"],
    ["trailers", `${start}Transfer-Encoding: chunked\r\n\r\n0\r\n`, "A: b\r\n"],
    [
      "a body behind another request",
      `GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n${start}Host: localhost\r\nContent-Length: 9000\r\n\r\n`,
      "a",
    ],
  ])("that send %s slowly get an error and are closed", async (_what, head, drop) => {
    const { listener } = await listen(echoes);
    const wire = new Wire(listener);
    wire.socket.write(head);
    const drip = setInterval(() => wire.socket.write(drop), 20);
    open.push(() => clearInterval(drip));
    await wire.ended();
    expect(wire.text).toContain('"code":408');
  });

  test("that send chunks byte by byte are understood", async () => {
    const wire = new Wire((await listen(echoes)).listener);
    const head = Object.entries(unary)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    const bytes = `${start}${head}Transfer-Encoding: chunked\r\n\r\n6;x=y\r\n{"text\r\n6\r\n":"a"}\r\n0\r\nTrailer: t\r\n\r\n`;
    for (const byte of bytes) {
      wire.socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(text(await wire.answer())).toBe('{"text":"a"}');
  });

  test("that send more requests than they read responses are no longer read", async () => {
    const running: (() => void)[] = [];
    const { listener } = await listen({
      unary: () => new Promise((resolve) => running.push(() => resolve({}))),
    });
    const wire = new Wire(listener);
    for (let index = 0; index < 300; index++) wire.send(unary, "{}");
    await expect.poll(() => running.length).toBe(8);
    for (let ended = 0; ended < 300; ended++) {
      await expect.poll(() => running.length).toBeGreaterThan(0);
      expect(running.length).toBeLessThanOrEqual(8);
      running.shift()!();
    }
    expect(await wire.answers(300)).toHaveLength(300);
  });

  test("that read no responses get few computed, and all once they read", async () => {
    let executed = 0;
    const payload = new Uint8Array(1024 * 1024);
    const listener = await tcpTransport().listen(
      "127.0.0.1:0",
      answering({
        unary: async () => {
          executed++;
          return { payload };
        },
      }),
    );
    open.push(() => listener.close());
    const socket = connect(Number(listener.address.split(":").pop()), "127.0.0.1");
    open.push(() => void socket.destroy());
    let received = 0;
    socket.on("data", (bytes) => {
      received += bytes.length;
    });
    socket.pause();
    const head = `Host: 127.0.0.1\r\nContent-Type: application/protobuf\r\nContent-Length: 0\r\n`;
    const endpoint = "Micro-Service: echo\r\nMicro-Endpoint: EchoService.Echo\r\n\r\n";
    socket.write(`POST / HTTP/1.1\r\n${head}${endpoint}`.repeat(100));
    await expect.poll(() => executed).toBeGreaterThan(0);
    expect(await settled(() => executed)).toBeLessThan(40);
    socket.resume();
    await expect.poll(() => received, { timeout: 15_000 }).toBeGreaterThan(100 * payload.length);
    expect(executed).toBe(100);
  });
});
