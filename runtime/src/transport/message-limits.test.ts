import { gzipSync } from "node:zlib";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import {
  type AnyMethod,
  goMicroTransport,
  httpTransport,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import type { Dispatcher, TransportLimits } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { all, failure, outgoing } from "../../../test/contract/transport-fixture.ts";
import { SayRequestSchema } from "../../../test/gen/micro/attack/v1/target_pb.ts";
import { long } from "../../../test/support/long.ts";
import { connectRoutes } from "../service/connect-adapter.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

function method(name: string, kind: AnyMethod["kind"]): AnyMethod {
  return {
    service: "target",
    name: `micro.attack.v1.TargetService/${name}`,
    kind,
    input: protobufCodec(SayRequestSchema),
    output: protobufCodec(SayRequestSchema),
    idempotency: "no_side_effects",
  } as AnyMethod;
}

const say = method("Say", "unary");
const chat = method("Chat", "bidi_streaming");

/** Responds to a request with as many items as its name states. */
const dispatcher: Dispatcher = {
  method: (name) => (name === chat.name ? chat : say),
  methodOfEndpoint: (name) => (name.endsWith("Chat") ? chat : say),
  unary: (_, request) => respond(request),
  async *stream(_, requests) {
    for await (const request of requests) yield respond(request);
  },
};

function respond(request: unknown) {
  const { name, items } = request as { name: string; items: unknown[] };
  return name === "" ? { name: String(items.length) } : { items: itemsOf(Number(name)) };
}

const itemsOf = (length: number) => Array.from({ length }, () => ({ name: "a" }));

type Make = (limits: Partial<TransportLimits>) => Transport;
const transports: [string, Make][] = [
  ["native", (limits) => tcpTransport(limits)],
  ["gRPC", (limits) => httpTransport(limits)],
  ["gRPC in JSON", (limits) => httpTransport({ ...limits, encoding: "json" })],
  ["gRPC-Web", (limits) => httpTransport({ ...limits, protocol: "grpc-web" })],
  ["Connect", (limits) => httpTransport({ ...limits, protocol: "connect" })],
  [
    "Connect in JSON",
    (limits) => httpTransport({ ...limits, protocol: "connect", encoding: "json" }),
  ],
  ["go-micro", (limits) => goMicroTransport(limits)],
  ["go-micro in JSON", (limits) => goMicroTransport({ ...limits, encoding: "json" })],
];

describe.each(transports)(
  "by %s, a message of more elements than maxMessageElements",
  (_, make) => {
    const few = { maxMessageElements: 100 };

    test("is refused by the server, which keeps the connection", async () => {
      const listener = await tcpTransport(few).listen("127.0.0.1:0", dispatcher);
      open.push(listener);
      const channel = await make({}).dial(listener.address);
      open.push(channel);
      const many = { items: itemsOf(200) };
      const error = await failure(channel.unary(say, many, outgoing()), "resource_exhausted");
      expect(error.message).toContain("raise maxMessageElements");
      expect(error.outcome).toBe("not-executed");
      await failure(all(channel.stream(chat, [many], outgoing())), "resource_exhausted");
      expect(await channel.unary(say, { items: itemsOf(20) }, outgoing())).toMatchObject({
        name: "20",
      });
    });

    test("is refused by the client, which stays usable", async () => {
      const listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
      open.push(listener);
      const channel = await make(few).dial(listener.address);
      open.push(channel);
      const error = await failure(
        channel.unary(say, { name: "200" }, outgoing()),
        "resource_exhausted",
      );
      expect(error.message).toContain("raise maxMessageElements");
      expect(error.outcome).toBe("executed");
      await failure(all(channel.stream(chat, [{ name: "200" }], outgoing())), "resource_exhausted");
      expect(await channel.unary(say, { name: "20" }, outgoing())).toMatchObject({
        items: itemsOf(20),
      });
    });
  },
);

describe.each([
  ["grpc", "binary"],
  ["grpc", "json"],
  ["grpc-web", "binary"],
  ["grpc-web", "json"],
  ["connect", "binary"],
  ["connect", "json"],
] as const)("by %s in %s, with compression", (protocol, encoding) => {
  test.each(long ? (["gzip", "br"] as const) : (["gzip"] as const))(
    "lists of equal items arrive within the other limits, by %s",
    async (compression) => {
      const listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
      open.push(listener);
      const transport = httpTransport({ protocol, encoding, compression });
      const channel = await transport.dial(listener.address);
      open.push(channel);
      // In JSON, more than 50,000 such items exceed the element limit.
      for (const length of [20_000, encoding === "json" ? 50_000 : 100_000]) {
        const many = { name: "", items: itemsOf(length) };
        const name = String(length);
        expect(await channel.unary(say, many, outgoing())).toMatchObject({ name });
        const { items } = (await channel.unary(say, { name }, outgoing())) as typeof many;
        expect(items).toHaveLength(length);
        const requests = [many, { name }, many, { name }];
        const responses = (await all(
          channel.stream(chat, requests, outgoing()),
        )) as (typeof many)[];
        expect(responses.map((it) => it.name || it.items.length)).toEqual([
          name,
          length,
          name,
          length,
        ]);
      }
    },
  );
});

test("lists of equal items from a mounted router arrive", async () => {
  const routes = (router: ConnectRouter) => {
    const [typeName, name] = say.name.split("/");
    const mounted = {
      kind: "rpc",
      name,
      localName: name,
      parent: { kind: "service", typeName },
      methodKind: "unary",
      input: SayRequestSchema,
      output: SayRequestSchema,
    };
    router.rpc(mounted as unknown as DescMethodUnary, () => ({ items: itemsOf(20_000) }) as never);
  };
  const transport = tcpTransport({ http: { routes: connectRoutes(routes) } });
  const listener = await transport.listen("127.0.0.1:0", dispatcher);
  open.push(listener);
  for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
    const channel = await httpTransport({ protocol }).dial(listener.address);
    open.push(channel);
    const response = await channel.unary(say, { name: "a" }, outgoing());
    expect((response as { items: unknown[] }).items).toHaveLength(20_000);
  }
});

test("lists of equal items of a codec without a descriptor arrive", async () => {
  const { schema: _, ...undescribed } = protobufCodec(SayRequestSchema);
  const sender = { ...say, input: undescribed, output: undescribed } as AnyMethod;
  const listener = await tcpTransport().listen("127.0.0.1:0", {
    ...dispatcher,
    method: () => sender,
  });
  open.push(listener);
  const channel = await httpTransport({ compression: "gzip" }).dial(listener.address);
  open.push(channel);
  const { items } = (await channel.unary(say, { name: "20000" }, outgoing())) as {
    items: unknown[];
  };
  expect(items).toHaveLength(20_000);
});

test("messages of a request that are over maxInflationRatio are refused", async () => {
  const serve = { http: { maxInflationRatio: 2_000 } };
  for (const [options, status] of [
    [{}, 429],
    [serve, 200],
  ] as const) {
    const listener = await tcpTransport(options).listen("127.0.0.1:0", dispatcher);
    open.push(listener);
    const response = await fetch(`http://${listener.address}/${say.name}`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: gzipSync(JSON.stringify({ name: "", data: "A".repeat(2_000_000) })),
    });
    expect(response.status).toBe(status);
  }
});

test.each(["http", "go-micro"])(
  "more than 128 values of metadata are refused by %s",
  async (by) => {
    const listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
    open.push(listener);
    const path = by === "http" ? say.name : "";
    const endpoint = { "micro-service": "target", "micro-endpoint": "TargetService.Say" };
    const post = (values: string) =>
      fetch(`http://${listener.address}/${path}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "x-bin": values,
          ...(by === "http" ? {} : endpoint),
        },
        body: "{}",
      });
    const refused = await post(",".repeat(500));
    const reason = refused.headers.get("micro-error") ?? (await refused.text());
    expect(reason).toContain("metadata has more than 128 entries");
    expect((await post(",".repeat(100))).ok).toBe(true);
  },
);
