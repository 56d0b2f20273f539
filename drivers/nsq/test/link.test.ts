import { createServer, type Server, type Socket } from "node:net";
import { NsqLink, type NsqOptions, nsqBroker } from "@micro-es/nsq";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type NsqdServer, nsqdVersion, startNsqd } from "./server.ts";

const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

function open(options: NsqOptions): Broker {
  const broker = nsqBroker({ logger: silentLogger, ...options });
  onTestFinished(() => broker.close());
  return broker;
}

describe(`the connections to ${nsqdVersion}`, () => {
  let server: NsqdServer;
  beforeAll(async () => {
    server = await startNsqd();
  });
  afterAll(() => server?.close());

  test("wait for a server that is not up yet, and give up in time", async () => {
    await using own = await startNsqd();
    await own.kill();
    const late = open({ servers: own.address });
    const early = open({ servers: own.address, startTimeoutMs: 0 });
    expect(await errorOf(early.publish("topic", event))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(early.state).toBe("lost");
    const publishing = late.publish("topic", event);
    await expect.poll(() => late.state).toBe("lost");
    await own.start();
    await publishing;
    expect(late.state).toBe("healthy");
  });

  test("are restored after a loss, and fail at once meanwhile", async () => {
    await using own = await startNsqd();
    const broker = open({ servers: own.address });
    await broker.publish("topic", event);
    await own.kill();
    await expect.poll(() => broker.state).toBe("lost");
    expect(await errorOf(broker.publish("topic", event))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    await own.start();
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("topic", event);
  });

  test("report a publication without a response as unknown", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const broker = open({ servers: `127.0.0.1:${proxy.port}`, timeoutMs: 2_000 });
    await broker.publish("topic", event);
    proxy.swallow(true);
    expect(await errorOf(broker.publish("topic", event))).toMatchObject({
      code: "unavailable",
      outcome: "unknown",
    });
    proxy.swallow(false);
    proxy.cut();
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("topic", event);
  });

  test("survive an event that is too large for nsqd, and those that were sent after it", async () => {
    const broker = open({ servers: server.address, maxEventBytes: 2 * 1024 * 1024 } as NsqOptions);
    await broker.publish("topic", event);
    const large = { ...event, body: new Uint8Array(1_500_000) };
    const [tooLarge, next] = await Promise.all([
      errorOf(broker.publish("topic", large)),
      errorOf(broker.publish("topic", event)),
    ]);
    expect(tooLarge).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
    expect(tooLarge.message).toMatch(/max-msg-size/);
    expect(next).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    await expect
      .poll(() =>
        broker.publish("topic", event).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });

  test("refuse a server without TLS, which does not get the secret", async () => {
    const broker = open({ servers: server.address, tls: true, secret: "s3cret" });
    const failure = await errorOf(broker.publish("topic", event));
    expect(failure).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
    expect(failure.message).toMatch(/nsqd has no TLS/);
  });

  test("authenticate with the secret that nsqd asks for", async () => {
    await using own = await startNsqd({ secrets: ["s3cret"] });
    const broker = open({ servers: own.address, secret: "s3cret" });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id));
    await broker.publish("topic", { ...event, id: "a" });
    await expect.poll(() => seen).toEqual(["a"]);
    for (const secret of [{}, { secret: "guess" }]) {
      const failure = await errorOf(
        open({ servers: own.address, ...secret }).publish("topic", event),
      );
      expect(failure).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
      expect(failure.message).not.toContain("guess");
    }
  });
});

describe(`${nsqdVersion} with TLS`, () => {
  const authority = new TestAuthority();
  let server: NsqdServer;
  beforeAll(async () => {
    const { cert, key } = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    server = await startNsqd({ tls: { cert, key }, tlsRequired: true });
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
  });

  test("is used by its address and by its name", async () => {
    for (const host of ["127.0.0.1", "localhost"]) {
      const broker = open({ servers: `${host}:${server.port}`, tls: { ca: authority.ca } });
      const seen: string[] = [];
      await broker.subscribe("topic", ({ id }) => void seen.push(id));
      await broker.publish("topic", { ...event, id: host, body: new Uint8Array(300_000) });
      await expect.poll(() => seen).toEqual([host]);
    }
  });

  test("is refused with an untrusted certificate, and refuses a client without TLS", async () => {
    const strict = open({ servers: server.address, tls: true });
    expect((await errorOf(strict.publish("topic", event))).message).toMatch(/certificate/);
    const plain = open({ servers: server.address, startTimeoutMs: 0 });
    expect(await errorOf(plain.publish("topic", event))).toMatchObject({ outcome: "not-executed" });
  });
});

describe("a server that does not keep to the protocol", () => {
  const frame = (type: number, size: number) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(size, 0);
    head.writeUInt32BE(type, 4);
    return head;
  };
  test.each<[string, (socket: Socket) => void]>([
    ["says nothing", () => {}],
    ["closes the connection", (socket) => socket.destroy()],
    ["speaks another one", (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["announces a huge response", (socket) => socket.write(frame(0, 0x3fff_ffff))],
    ["announces a frame without a type", (socket) => socket.write(frame(0, 2))],
    [
      "sends no features",
      (socket) => socket.write(Buffer.concat([frame(0, 6), Buffer.from("OK")])),
    ],
    ["sends half of a message", (socket) => socket.end(frame(2, 100))],
  ])("%s, which fails in time", async (_, respond) => {
    await using other = await listen(respond);
    const servers = `127.0.0.1:${other.port}`;
    const broker = open({ servers, timeoutMs: 200, startTimeoutMs: 0 });
    expect(await errorOf(broker.publish("topic", event))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    expect(broker.state).toBe("lost");
  });
});

async function listen(respond: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => respond(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as { readonly port: number }).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test.each<[NsqOptions, RegExp]>([
  [{ servers: "nsq://host" }, /"nsq:\/\/host" is not an address of nsqd/],
  [{ servers: "s3cret@host" }, /"…@host" is not an address/],
  [{ servers: [] }, /servers must be addresses/],
  [{ timeoutMs: 0 }, /timeoutMs/],
])("refuses the options %o", (options, message) => {
  expect(() => new NsqLink(options)).toThrow(message);
  expect(() => nsqBroker(options)).toThrow(message);
  expect(() => nsqBroker(options)).not.toThrow(/s3cret/);
});
