import { create, equals, toBinary, toJsonString } from "@bufbuild/protobuf";
import { memoryBroker } from "@micro-es/runtime";
import { CodecRegistry, loadDescriptors } from "@micro-es/runtime/codec";
import { expect, test } from "vitest";
import { compile, generate } from "../../protoc-gen-micro/test/support/compile.ts";
import { type EchoedCodec, EchoRequestCodec, echoCodecs } from "../gen/micro/test/v1/echo_micro.ts";
import {
  EchoedSchema,
  EchoRequestSchema,
  EchoResponseSchema,
} from "../gen/micro/test/v1/echo_pb.ts";
import { generated } from "./generated.ts";

const shop = {
  "shop/money.proto": `
    syntax = "proto3";
    package shop;
    message Money { string currency = 1; int64 units = 2; Cents cents = 3; message Cents { int32 value = 1; } }
    message Unsent { Money.Cents inner = 1; }`,
  "shop/order.proto": `
    syntax = "proto3";
    package shop;
    import "shop/money.proto";
    message Order { string id = 1; Money total = 2; repeated Money lines = 3; map<string, Money> taxes = 4; }
    service Orders { rpc Place(Order) returns (Order); }`,
};

test("a file's list has all its messages, including nested and unsent ones, with descriptors", async () => {
  const { micro } = await generated(shop);
  const list = micro("shop/money").moneyCodecs as readonly { typeName: string; schema?: object }[];
  expect(list.map(({ typeName }) => typeName).sort()).toEqual([
    "shop.Money",
    "shop.Money.Cents",
    "shop.Unsent",
  ]);
  for (const codec of list) expect(codec.schema).toBeDefined();
  // Imported by its own name it has none, which keeps protobuf-es out of a bundle.
  expect((micro("shop/money").MoneyCodec as { schema?: object }).schema).toBeUndefined();
});

test("nothing registers on import: a registry knows only what it was given", () => {
  expect(new CodecRegistry().typeNames).toEqual([]);
  expect(() => new CodecRegistry().codec("micro.test.v1.Echoed", "application/protobuf")).toThrow(
    /no codec for message "micro\.test\.v1\.Echoed"; add the generated list of its file/,
  );
  expect([...new CodecRegistry(echoCodecs).typeNames].sort()).toEqual([
    EchoRequestSchema.typeName,
    EchoResponseSchema.typeName,
    EchoedSchema.typeName,
  ]);
});

test("a subscriber to everything decodes each message by type name and content type", async () => {
  await loadDescriptors();
  const registry = new CodecRegistry(echoCodecs);
  await using broker = memoryBroker();
  const seen: unknown[] = [];
  const both = new Promise<void>((resolve) => {
    void broker.subscribe("all", (event) => {
      const codec = registry.codec(event.typeName, event.contentType);
      seen.push(codec.decode(event.body));
      if (seen.length === 2) resolve();
    });
  });
  const echoed = create(EchoedSchema, { text: "binary" });
  const request = create(EchoRequestSchema, { text: "JSON", count: 2 });
  await broker.publish("all", {
    body: toBinary(EchoedSchema, echoed),
    contentType: "application/protobuf",
    typeName: echoed.$typeName,
  });
  await broker.publish("all", {
    body: new TextEncoder().encode(toJsonString(EchoRequestSchema, request)),
    contentType: "application/json; charset=utf-8",
    typeName: request.$typeName,
  });
  await both;
  expect(seen).toStrictEqual([echoed, request]);
});

test("an initializer is written as the message that create() makes of it", () => {
  const init: Parameters<typeof EchoedCodec.encode>[0] = { text: "a" };
  expect(
    new CodecRegistry(echoCodecs)
      .codec("micro.test.v1.Echoed", "application/protobuf")
      .encode(init),
  ).toEqual(toBinary(EchoedSchema, create(EchoedSchema, { text: "a" })));
  const target = new Uint8Array(64);
  const end = EchoRequestCodec.encodeInto({ text: "a", count: 3 }, target, 10);
  const read = EchoRequestCodec.decode(target.subarray(10, end));
  expect(equals(EchoRequestSchema, read, create(EchoRequestSchema, { text: "a", count: 3 }))).toBe(
    true,
  );
});

test("an imported message uses the codec of its file when the run writes that, and protobuf-es otherwise", () => {
  const compiled = compile(shop, { withOptions: false });
  const order = (files: readonly string[]) =>
    generate(compiled.request(files, "target=ts,import_extension=ts")).get("shop/order_codec.ts")!;
  const together = order(["shop/order.proto", "shop/money.proto"]);
  expect(together).toContain('import { MoneyCodec, moneyDescriptors } from "./money_codec.ts";');
  expect(together).not.toContain("reflectCodec");
  const alone = order(["shop/order.proto"]);
  expect(alone).not.toContain("money_codec");
  expect(alone).toMatch(
    /^const MoneyCodec: MessageCodec<Money> = .*reflectCodec\(MoneySchema\);$/m,
  );
});

test("codecs of two imported messages with one name are distinguished, whatever their origin", async () => {
  const { codec } = await generated({
    "shop/value.proto": `syntax = "proto3"; package shop; message Value { int32 cents = 1; }`,
    "shop/offer.proto": `
      syntax = "proto3";
      package shop;
      import "google/protobuf/struct.proto";
      import "shop/value.proto";
      message Offer { Value ours = 1; google.protobuf.Value theirs = 2; }`,
  });
  const offer = codec("shop.Offer");
  const init = { ours: { cents: 5 }, theirs: { kind: { case: "numberValue", value: 7 } } };
  expect(offer.decode(offer.encode(init))).toMatchObject(init);
});

test("a message decoded by protobuf-es may not have a field that runs past its end", async () => {
  const { codec } = await generated({
    "shop/visit.proto": `
      syntax = "proto3";
      package shop;
      import "google/protobuf/timestamp.proto";
      message Visit { google.protobuf.Timestamp time = 1; string name = 2; }`,
  });
  const visit = codec("shop.Visit");
  const within = [0x0a, 2, 0x08, 5, 0x12, 1, 0x41];
  expect(visit.decode(Uint8Array.from(within))).toMatchObject({ time: { seconds: 5n }, name: "A" });
  // Eight bytes of a field that is unknown, of which the message has two.
  const over = [0x0a, 3, 0x19, 5, 5, 0x12, 5, 0x41, 0x41, 0x41, 0x41, 0x41];
  expect(() => visit.decode(Uint8Array.from(over))).toThrow(
    /cannot decode 12 bytes as shop\.Visit, at byte \d+/,
  );
});

test("codec=reflect is one line a message", () => {
  const compiled = compile(shop, { withOptions: false });
  const files = generate(compiled.request(["shop/order.proto"], "target=js,codec=reflect"));
  const codecs = files.get("shop/order_codec.js");
  expect(codecs).toContain("export const OrderCodec = /*@__PURE__*/ codec(OrderSchema);");
  expect(codecs).not.toMatch(/^(export )?function/m);
  const code = files.get("shop/order_micro.js")!;
  // Of functions there are those of the service, and no other.
  expect(code.match(/^(export )?function \w+/gm)).toEqual([
    "export function createOrdersClient",
    "export function registerOrdersHandler",
  ]);
  // No output refers to types that are not sent.
  for (const text of files.values()) expect(text).not.toContain("Money");
});
