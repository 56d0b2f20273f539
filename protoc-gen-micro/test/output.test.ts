import { describe, expect, test } from "vitest";
import { compile, generate, proto } from "./support/compile.ts";

const compiled = compile({
  "greeter.proto": proto(`
// Greets people.
// In two lines.
service Greeter {
  // Greets one person. Ends a comment: */ and goes on.
  //
  // Second paragraph.
  rpc Hello(HelloRequest) returns (HelloResponse); // Behind it.
  rpc Watch(HelloRequest) returns (stream HelloResponse);
  rpc Upload(stream HelloRequest) returns (HelloResponse);
  rpc Chat(stream HelloRequest) returns (stream HelloResponse);
  rpc Old(HelloRequest) returns (HelloResponse) { option deprecated = true; }
  rpc OnGreeted(Greeted) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe) = {
      queue: "stats" max_in_flight: 8 max_deliveries: 3 dead_letter: "greeter.dead"
    };
  }
  rpc OnGreetedToo(Greeted) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe) = {};
  }
}
service Gone { option deprecated = true; rpc Call(HelloRequest) returns (HelloResponse); }
service Listener {
  rpc OnGreeted(Greeted) returns (google.protobuf.Empty) { option (micro.v1.subscribe) = {}; }
}
service Nothing {}
message HelloRequest {}
message HelloResponse {}
// A person was greeted.
message Greeted { option (micro.v1.topic) = { name: "greeted" }; }
`),
  "deprecated.proto": `syntax = "proto3"; option deprecated = true;
service S { rpc A(M) returns (M); } message M {}`,
  "keys.proto": proto(`
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }
message Text { option (micro.v1.topic) = { name: "1" key: "k_name" }; string k_name = 1; }
message Maybe { option (micro.v1.topic) = { name: "2" key: "k" }; optional string k = 1; }
message Int { option (micro.v1.topic) = { name: "3" key: "k" }; int32 k = 1; }
message Long { option (micro.v1.topic) = { name: "4" key: "k" }; uint64 k = 1; }
message LongText { option (micro.v1.topic) = { name: "5" key: "k" }; int64 k = 1 [jstype = JS_STRING]; }
message Flag { option (micro.v1.topic) = { name: "6" key: "k" }; bool k = 1; }
message Enumerated { option (micro.v1.topic) = { name: "7" key: "k" }; Kind k = 1; }
message Outer { message Nested { option (micro.v1.topic) = { name: "8" }; } }
`),
  "two.proto": `syntax = "proto2";
package two;
import "micro/v1/options.proto";
enum Kind { FIRST = 5; SECOND = 6; }
message Text { option (micro.v1.topic) = { name: "a" key: "k" }; optional string k = 1 [default = "a\\"b"]; }
message Long { option (micro.v1.topic) = { name: "b" key: "k" }; required int64 k = 1 [default = -7]; }
message First { option (micro.v1.topic) = { name: "c" key: "k" }; optional Kind k = 1; }
message Second { option (micro.v1.topic) = { name: "d" key: "k" }; optional Kind k = 1 [default = SECOND]; }`,
});

const code = generate(compiled.request(["greeter.proto"])).get("greeter_micro.ts")!;

describe("a service", () => {
  test("has a client with a method for each rpc that can be called", () => {
    const client = code.slice(code.indexOf("interface GreeterClient"), code.indexOf("create"));
    for (const signature of [
      "  hello(request: HelloRequestInit, options?: CallOptions): Promise<HelloResponse>;",
      "  watch(request: HelloRequestInit, options?: CallOptions): AsyncIterable<HelloResponse>;",
      "    requests: AsyncIterable<HelloRequestInit> | Iterable<HelloRequestInit>,\n",
      "  ): Promise<HelloResponse>;",
      "  ): AsyncIterable<HelloResponse>;",
    ]) {
      expect(client).toContain(signature);
    }
    expect(client).not.toContain("onGreeted");
  });

  test("has a handler with a method for each rpc", () => {
    const handler = code.slice(code.indexOf("interface GreeterHandler"));
    for (const signature of [
      "  hello(request: HelloRequest, context: CallContext): Awaitable<HelloResponseInit>;",
      "  watch(request: HelloRequest, context: CallContext): AsyncIterable<HelloResponseInit>;",
      "  chat(\n    requests: AsyncIterable<HelloRequest>,\n    context: CallContext,\n  ): AsyncIterable<HelloResponseInit>;",
      "  onGreeted(event: Greeted, context: EventContext): Awaitable<void>;",
    ]) {
      expect(handler).toContain(signature);
    }
  });

  test("subscribes its subscribers when the handler is registered", () => {
    expect(
      code,
    ).toContain(`  server.subscribe(GreetedTopic, (event, context) => handler.onGreeted(event, context), {
    queue: "stats",
    maxInFlight: 8,
    maxDeliveries: 3,
    deadLetter: "greeter.dead",
    name: "test.v1.Greeter/OnGreeted",
    service: "test",
  });
`);
  });

  test("without calls has no client, and without rpcs no output", () => {
    expect(code).toContain("interface ListenerHandler");
    expect(code).not.toContain("ListenerClient");
    expect(code).not.toContain("Nothing");
  });
});

describe("doc comments", () => {
  test("are those of the .proto, escaped, with their origin", () => {
    expect(code).toContain(`/**
 * Greets people.
 * In two lines.
 *
 * @generated from service test.v1.Greeter
 */
export interface GreeterClient {
  /**
   * Greets one person. Ends a comment: *\\/ and goes on.
   *
   * Second paragraph.
   *
   * Behind it.
   *
   * @generated from rpc test.v1.Greeter.Hello
   */
`);
  });

  test("has the comment of a service once, on its client, or on a handler without one", () => {
    expect(code.match(/Greets people\./g)).toHaveLength(1);
    expect(code).toContain(
      "/** Handler for the service test.v1.Greeter; register it with {@link registerGreeterHandler}. */\nexport interface GreeterHandler {",
    );
    const handler = generate(compiled.request(["greeter.proto"], "target=ts,services=handler"));
    expect(handler.get("greeter_micro.ts")).toContain(`/**
 * Greets people.
 * In two lines.
 *
 * @generated from service test.v1.Greeter
 */
export interface GreeterHandler {`);
    expect(code).toMatch(
      /@generated from service test\.v1\.Listener \*\/\nexport interface ListenerHandler/,
    );
  });

  test("describe how a subscriber receives its events", () => {
    expect(code).toContain(
      "   * Receives the events of greeted; one instance in the queue group stats receives each event; at most 8 at once; at most 3 deliveries of an event; events that keep failing go to greeter.dead.\n",
    );
    expect(code).toContain(
      "   * Receives the events of greeted; every instance receives each event.\n",
    );
  });

  test("include the deprecation of rpc, service and file", () => {
    expect(code).toMatch(/from rpc test\.v1\.Greeter\.Old\n {3}\* @deprecated\n/);
    expect(code).toMatch(/from rpc test\.v1\.Gone\.Call\n {3}\* @deprecated\n/);
    expect(code).toMatch(/@deprecated\n \*\/\nexport function createGoneClient/);
    expect(code).not.toMatch(/from rpc test\.v1\.Greeter\.Hello\n {3}\* @deprecated/);
    const file = generate(compiled.request(["deprecated.proto"])).get("deprecated_micro.ts")!;
    expect(file).toMatch(/from rpc S\.A\n {3}\* @deprecated\n/);
  });
});

describe("topics", () => {
  const keys = generate(compiled.request(["keys.proto"])).get("keys_micro.ts")!;
  const two = generate(compiled.request(["two.proto"])).get("two_micro.ts")!;

  test.each([
    ["Text", '(event) => event.kName ?? "",'],
    ["Maybe", '(event) => event.k ?? "",'],
    ["Int", "(event) => String(event.k ?? 0),"],
    ["Long", "(event) => String(event.k ?? 0),"],
    ["LongText", "(event) => String(event.k ?? 0),"],
    ["Flag", "(event) => String(event.k ?? false),"],
    ["Enumerated", "(event) => String(event.k ?? 0),"],
  ])("the key of %s", (name, key) => {
    const topic = keys.slice(keys.indexOf(`const ${name}Topic`));
    expect(topic.slice(0, topic.indexOf("});"))).toContain(`key: ${key}`);
  });

  test.each([
    ["Text", '(event) => event.k ?? "a\\"b",'],
    ["Long", "(event) => String(event.k ?? -7),"],
    ["First", "(event) => String(event.k ?? 5),"],
    ["Second", "(event) => String(event.k ?? 6),"],
  ])("the key of proto2's %s has the default of the field", (name, key) => {
    const topic = two.slice(two.indexOf(`const ${name}Topic`));
    expect(topic.slice(0, topic.indexOf("});"))).toContain(`key: ${key}`);
  });

  test("of nested messages, without a key", () => {
    expect(
      keys,
    ).toContain(`const Outer_NestedTopic: Topic<Outer_Nested, Outer_NestedInit> = /*@__PURE__*/ topic({
`);
  });
});

test("TypeScript can check a long list of codecs", () => {
  const rpcs = Array.from({ length: 201 }, (_, index) => `rpc R${index}(A${index}) returns (A0);`);
  const messages = rpcs.map((_, index) => `message A${index} {}`);
  const many = compile({
    "many.proto": `syntax = "proto3"; service S { ${rpcs.join("\n")} } ${messages.join("\n")}`,
  });
  const texts = generate(many.request(["many.proto"], "target=ts+js,codec=reflect"));
  expect(texts.get("many_codec.ts")).toContain(
    "manyCodecs: readonly AnyCodec[] = /*@__PURE__*/ Array.of<AnyCodec>(\n  A0Codec,\n  A1Codec,\n",
  );
  expect(texts.get("many_codec.js")).toContain(
    "manyCodecs = /*@__PURE__*/ Array.of(\n  A0Codec,\n  A1Codec,\n",
  );
});
