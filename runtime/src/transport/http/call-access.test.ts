import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { buffer } from "node:stream/consumers";
import { type TcpTransportOptions, tcpTransport } from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../../../../test/contract/transport-fixture.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Answer {
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly body: string;
}

type Caller = (type: string, lines?: Record<string, string | string[]>) => Promise<Answer>;

/** Starts a listener, and returns a function that calls it by HTTP/2 with an empty message. */
async function serve(http: TcpTransportOptions["http"] = {}): Promise<Caller> {
  const transport = tcpTransport({ http });
  const listener = await transport.listen(
    "127.0.0.1:0",
    answering({ unary: () => ({ text: "x" }) }),
  );
  ends.push(() => listener.close());
  const session = connect(`http://${listener.address}`);
  ends.push(() => session.destroy());
  return async (type, lines = {}) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/micro.test.v1.EchoService/Echo",
      "content-type": type,
      ...lines,
    });
    stream.end(type === "application/json" ? "{}" : Buffer.alloc(5));
    const [headers] = (await once(stream, "response")) as [Answer["headers"]];
    return { headers, body: (await buffer(stream)).toString() };
  };
}

const types = ["application/json", "application/grpc-web", "application/grpc"];
const origin = "https://a.example";

describe.each(types)("a web page calls over HTTP/2 as %s", (type) => {
  test("from an origin that is allowed, and may read the response", async () => {
    const call = await serve({ cors: { origins: [origin], exposedHeaders: ["x-cost"] } });
    for (let round = 0; round < 2; round++) {
      const { headers, body } = await call(type, { origin, "sec-fetch-site": "cross-site" });
      expect(headers[":status"]).toBe(200);
      expect(headers["access-control-allow-origin"]).toBe(origin);
      expect(headers["access-control-expose-headers"]).toContain("x-cost");
      expect(headers.vary).toBe("origin");
      expect(body).toContain("x");
    }
  });

  test("not from another origin", async () => {
    const call = await serve({ cors: { origins: [origin] } });
    const { headers, body } = await call(type, { origin: "https://b.example" });
    expect(headers[":status"]).toBe(403);
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    expect(body).toContain("https://b.example");
  });

  test("from the listener's own origin alone, unless others are allowed", async () => {
    const call = await serve();
    const site = (value: string) => call(type, { "sec-fetch-site": value, origin });
    expect((await site("same-origin")).headers[":status"]).toBe(200);
    expect((await site("cross-site")).headers[":status"]).toBe(403);
    expect((await call(type, { origin: "null" })).headers[":status"]).toBe(403);
  });
});

test("a call that states twice which page sends it is refused", async () => {
  const call = await serve({ cors: { origins: ["*"] } });
  const lines = { "sec-fetch-site": ["same-origin", "cross-site"] };
  expect((await call("application/json", lines)).headers[":status"]).toBe(400);
});

test("a protocol that is switched off is refused over HTTP/2", async () => {
  const call = await serve({ grpcWeb: false });
  expect((await call("application/grpc-web")).body).toMatch(/gRPC-Web.+switched/);
  expect((await call("application/grpc")).headers[":status"]).toBe(200);
});
