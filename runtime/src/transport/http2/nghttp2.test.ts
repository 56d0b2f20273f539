import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer,
  type Http2Server,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  fields,
  ok,
  type Received,
  TestClient,
  TestServer,
} from "../../../../test/support/http2-peers.ts";

/** This core as the peer of nghttp2, which Node contains, as server and as client. */

const bytesOf = (length: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => at * 7 + (at >> 8)));
const sizes = [0, 1, 16_384, 16_385, 70_000, 2_000_000];

test.each(sizes)("serves an nghttp2 client that sends and receives %d bytes", async (size) => {
  using server = await TestServer.start({}, (request: Received) => {
    request.respond = (stream) => {
      stream.head(undefined, ok);
      stream.send(request.body, 0, request.body.length);
      stream.trailers(undefined, fields(["x-trailer", "t"]));
    };
  });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  try {
    await Promise.all(Array.from({ length: 3 }, () => exchange(session, bytesOf(size))));
    expect(server.requests).toHaveLength(3);
  } finally {
    session.destroy();
  }
});

async function exchange(session: ClientHttp2Session, body: Buffer): Promise<void> {
  const stream = session.request({ ":method": "POST", ":path": "/", "x-a": "b" });
  const trailers = once(stream, "trailers");
  stream.end(body);
  const received: Buffer[] = [];
  for await (const piece of stream) received.push(piece as Buffer);
  expect(Buffer.compare(Buffer.concat(received), body)).toBe(0);
  expect((await trailers)[0]).toMatchObject({ "x-trailer": "t" });
}

test("an nghttp2 client pings, is drained, and closes", async () => {
  using server = await TestServer.start();
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  await once(session, "remoteSettings");
  await new Promise<void>((resolve, reject) =>
    session.ping((error) => (error === null ? resolve() : reject(error))),
  );
  const closed = once(session, "close");
  await server.connections[0]!.drain();
  await closed;
  expect(server.ended[0]).toMatchObject({ violated: false });
});

let peer: Http2Server;
beforeEach(async () => {
  peer = createServer({ settings: { initialWindowSize: 70_000 } });
  peer.listen(0, "127.0.0.1");
  await once(peer, "listening");
});
afterEach(() => {
  peer.close();
});

const port = () => (peer.address() as AddressInfo).port;

test.each(sizes)("calls an nghttp2 server, with %d bytes", async (size) => {
  peer.on("stream", (stream) => {
    stream.respond({ ":status": 200, "x-a": "b" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "t" }));
    stream.pipe(stream);
  });
  using client = new TestClient(port());
  await client.connected;
  const body = bytesOf(size);
  const responses = Array.from({ length: 3 }, () => {
    const response = client.request("/", false);
    response.stream!.send(body, 0, body.length, true);
    return response;
  });
  for (const response of responses) {
    await expect.poll(() => response.ended).toBe(true);
    expect(response.list!.get("x-a")).toBe("b");
    expect(Buffer.compare(response.body, body)).toBe(0);
    expect(response.trailers!.get("x-trailer")).toBe("t");
  }
});

test("an nghttp2 server may send informational responses before the final one", async () => {
  peer.on("stream", (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    stream.respond({ ":status": 204 }, { endStream: true });
  });
  using client = new TestClient(port());
  await client.connected;
  const response = client.request();
  await expect.poll(() => response.ended).toBe(true);
  expect(response.head!.status).toBe(204);
});
