import { once } from "node:events";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { httpTransport, type MicroError, tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { answering, outgoing } from "../../../../test/contract/transport-fixture.ts";
import { EchoService } from "../../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../../test/support/echo.ts";
import { readUrl } from "./address.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

async function serve(address: string): Promise<Listener> {
  const dispatcher = answering({ unary: async ({ text: said }) => ({ text: said }) });
  const listener = await tcpTransport().listen(address, dispatcher);
  open.push(listener);
  return listener;
}

/**
 * Returns what a client sends as `:authority` when it dials such an address on a port of this
 * machine.
 */
async function authoritySentTo(host: string): Promise<{ sent: string; expected: string }> {
  const server = createHttp2Server();
  open.push(server);
  const authority = new Promise<string>((resolve) =>
    server.on("stream", (stream, headers) => {
      resolve(String(headers[":authority"]));
      stream.respond({ ":status": 404 }, { endStream: true });
    }),
  );
  server.listen(0, host === "[::1]" ? "::1" : "127.0.0.1");
  await once(server, "listening");
  const expected = `${host}:${(server.address() as AddressInfo).port}`;
  const channel = await httpTransport().dial(`http://${expected}`);
  open.push(channel);
  await channel.unary(echo.echo, {}, outgoing()).catch(() => undefined);
  return { sent: await authority, expected };
}

describe("the authority of a request", () => {
  test.each(["[::1]", "127.0.0.1", "localhost"])("is written as in the URL: %s", async (host) => {
    const { sent, expected } = await authoritySentTo(host);
    expect(sent).toBe(expected);
  });

  const clients = {
    "gRPC by HTTP/2": httpTransport(),
    "gRPC-Web by HTTP/2": httpTransport({ protocol: "grpc-web" }),
    "Connect by HTTP/2": httpTransport({ protocol: "connect" }),
    "Connect by HTTP/1.1": httpTransport({ protocol: "connect", httpVersion: "1.1" }),
  };
  test.each(Object.entries(clients))("is taken at an IPv6 address: %s", async (_, transport) => {
    const { address } = await serve("[::1]:0");
    for (const dialled of [`http://${address}`, address]) {
      const channel = await transport.dial(dialled);
      open.push(channel);
      expect(await channel.unary(echo.echo, { text: "hi" }, outgoing())).toMatchObject({
        text: "hi",
      });
    }
  });

  test("is taken from connect-node, which leaves the brackets of IPv6 addresses out", async () => {
    const { address } = await serve("[::1]:0");
    const baseUrl = `http://${address}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    open.push({ close: () => sessionManager.abort() });
    const client = createClient(EchoService, createGrpcTransport({ baseUrl, sessionManager }));
    expect(await client.echo({ text: "hi" })).toMatchObject({ text: "hi" });
  });

  test.each(["::1:80", "[::1", "%2Frun%2Fa.sock", "a:99999"])(
    "does not matter where no URL can hold it: %s",
    async (authority) => {
      const { address } = await serve("127.0.0.1:0");
      const session = connectHttp2(`http://${address}`);
      open.push(session);
      const stream = session.request({
        ":method": "POST",
        ":path": `/${echo.echo.name}`,
        ":authority": authority,
        "content-type": "application/json",
      });
      stream.end('{"text":"hi"}');
      const [header] = await once(stream, "response");
      expect(header[":status"]).toBe(200);
      expect(JSON.parse(await text(stream))).toEqual({ text: "hi" });
    },
  );

  test("may be missing from a request by HTTP/1.0", async () => {
    const { address } = await serve("127.0.0.1:0");
    const socket = connect(Number(address.split(":").at(-1)), "127.0.0.1");
    socket.end(
      `POST /${echo.echo.name} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"text":"hi"}`,
    );
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\{"text":"hi"\}$/s);
  });
});

test("an address that HTTP cannot dial is refused with the reason", () => {
  const reason = (address: string) => {
    try {
      return readUrl(address).href;
    } catch (error) {
      return (error as MicroError).message;
    }
  };
  expect(reason("[::1]:80")).toBe("http://[::1]/");
  expect(reason("[fe80::1%eth0]:80")).toContain("a zone, which a URL cannot hold");
  expect(reason("http://[fe80::1%eth0]:80")).toContain("is not a valid URL");
  expect(reason("unix:/run/a.sock")).toContain("use http://host:port");
  expect(reason("::1:80")).toContain('"::1:80" is not a valid address');
});
