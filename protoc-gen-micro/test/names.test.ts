import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { compile, generate, proto } from "./support/compile.ts";
import { Workspace } from "./support/workspace.ts";

// Two cores that others use too take half a minute for the types.
vi.setConfig({ testTimeout: 180_000 });

const names = [
  "clash/clash.proto",
  "other/item.proto",
  "third/item.proto",
  "third/used-here.proto",
];

const compiled = compile({
  "clash/clash.proto": proto(
    `
service Greeter {
  rpc Then(GreeterClient) returns (Object);
  rpc Constructor(case) returns (Promise);
  rpc ToString(Client) returns (Server);
  rpc ToJSON(stream Topic) returns (stream AsyncIterable);
  rpc ValueOf(stream Iterable) returns (String);
  rpc delete(Codec) returns (stream AnyCodec);
  rpc Name(codec) returns (topic);
  rpc GetName(Method) returns (CallContext);
  rpc Prototype(Awaitable) returns (MessageInitShape);
  rpc HasOwnProperty(Outer.Inner) returns (Outer.Inner.Deep);
  rpc TwoItems(other.v1.Item) returns (third.v1.Item);
  rpc NotInRun(fourth.v1.Item) returns (google.protobuf.Empty);
  rpc OnEvent(Event) returns (google.protobuf.Empty) { option (micro.v1.subscribe) = {}; }
  rpc OnTheirs(third.v1.Happened) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe) = { queue: "q" };
  }
}
// createGreeterClient of this one would be that of Greeter.
service greeter { rpc Hello(greeterClient) returns (GreeterHandler); }
service Greeter_ { rpc hello(EventTopic) returns (clashCodecs); }
service Any { rpc Call(google.protobuf.Any) returns (google.protobuf.Struct); }
service request { rpc request(options) returns (context); }

message GreeterClient { string name = 1; }
message greeterClient {}
message GreeterHandler {}
message Object { string text = 1; }
message case { string word = 1; }
message Promise {}
message AsyncIterable {}
message Iterable {}
message String {}
message Client {}
message Server {}
message Topic {}
message Codec {}
message AnyCodec {}
message codec {}
message topic {}
message Method {}
message CallContext {}
message Awaitable {}
message MessageInitShape {}
message EventTopic {}
message EventInit {}
message EventCodec {}
message clashCodecs {}
message Greeter_hello {}
message options {}
message context {}
message Outer { message Inner { message Deep {} } }
message Event {
  option (micro.v1.topic) = { name: "event" key: "constructor" };
  int64 constructor = 1;
}
`,
    `import "other/item.proto";
import "third/item.proto";
import "third/used-here.proto";
import "fourth/item.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";`,
  ),
  "other/item.proto": `syntax = "proto3"; package other.v1;
message Item { string a = 1; }
service Items { rpc Get(Item) returns (Item); }`,
  "third/item.proto": 'syntax = "proto3"; package third.v1; message Item { string b = 1; }',
  "third/used-here.proto": `syntax = "proto3"; package third.v1;
import "third/item.proto"; import "micro/v1/options.proto";
message Happened { option (micro.v1.topic) = { name: "happened" }; Item item = 1; }`,
  "fourth/item.proto": 'syntax = "proto3"; package fourth.v1; message Item { string c = 1; }',
});

const workspace = new Workspace();

beforeAll(() => {
  workspace.generate(compiled, names, "target=ts,import_extension=ts");
  // A run of its own, as buf makes one for each folder.
  workspace.generate(compiled, ["fourth/item.proto"], "target=ts,import_extension=ts");
});
afterAll(() => workspace.remove());

const files = generate(compiled.request(names));
const code = files.get("clash/clash_micro.ts")!;
const codecs = files.get("clash/clash_codec.ts")!;

describe("names", () => {
  test("our names give way to those of _pb", () => {
    expect(code).toContain("export interface GreeterClient$ {");
    expect(code).toContain("export interface GreeterHandler$ {");
    expect(code).toContain("export const EventTopic$: Topic");
    expect(codecs).toMatch(/^export type EventInit\$ =/m);
    expect(codecs).toMatch(/^export const EventCodec\$:/m);
    expect(codecs).toContain("export const clashCodecs$: readonly AnyCodec");
  });

  test("services whose derived names collide get two sets of names", () => {
    expect(code).toContain("export function createGreeterClient(client");
    expect(code).toContain("export function createGreeterClient$(client");
    expect(code).toContain("export function createGreeter_Client(client");
  });

  test("members that would change the nature of an object are renamed", () => {
    for (const member of ["then$", "constructor$", "toString$", "toJSON$", "valueOf$"]) {
      expect(code).toContain(`  ${member}(`);
    }
    expect(code).toContain("  delete(");
  });

  test("codecs of imported messages are imported if this run exports them, and declared otherwise", () => {
    const files = generate(compiled.request(names, "target=ts,codec=reflect"));
    const code = files.get("clash/clash_micro.ts")!;
    expect(code).toContain('import { ItemCodec as ItemCodec$1 } from "../other/item_codec";');
    expect(code).toMatch(/^const ItemCodec: Codec\$1<Item, ItemInit> =/m);
    expect(code).toMatch(/^const ItemCodec\$: Codec\$1<Item\$2, ItemInit\$> =/m);
    expect(code).toMatch(/^const AnyCodec\$: /m);
    for (const text of [code, files.get("clash/clash_codec.ts")]) {
      expect(text).not.toMatch(/^export const (Item|Any|Struct|Empty)Codec[$:]/m);
    }
    expect(code).toContain('import { HappenedTopic } from "../third/used-here_micro";');
  });
});

test("two rpcs whose names differ only in case get two members", () => {
  const twice = compile({
    "twice.proto": proto(
      "service S { rpc GetName(M) returns (M); rpc getName(M) returns (M); } message M {}",
    ),
  });
  const text = generate(twice.request(["twice.proto"])).get("twice_micro.ts")!;
  for (const expected of [
    "getName: (request, options) => client.unary(S_getName, request, options)",
    "getName$: (request, options) => client.unary(S_getName$, request, options)",
    'name: "test.v1.S/getName"',
  ]) {
    expect(text).toContain(expected);
  }
});

describe("rpcs named like members that every object has", () => {
  const rpcs =
    "New Get Set Static Async Delete Close Catch Name Length Call __proto__ HasOwnProperty Constructor Then Symbol";
  const own = new Workspace();
  const odd = compile({
    "odd.proto": proto(
      `service S { ${rpcs
        .split(" ")
        .map((name) => `rpc ${name}(M) returns (M);`)
        .join("\n")} }
service Ticks { rpc New(M) returns (stream M); }
service Uploads { rpc New(stream M) returns (M); }
service Chats { rpc New(stream M) returns (stream M); }
service Events { rpc New(M) returns (google.protobuf.Empty) { option (micro.v1.subscribe) = {}; } }
message M { option (micro.v1.topic) = { name: "m" }; string s = 1; }`,
    ),
  });
  beforeAll(() => {
    own.generate(odd, ["odd.proto"], "target=ts,import_extension=ts");
    own.write([
      [
        "kinds.ts",
        `import {
  type ChatsHandler, createChatsClient, createTicksClient, createUploadsClient, type EventsHandler,
  registerChatsHandler, registerEventsHandler, registerTicksHandler, registerUploadsHandler,
  type TicksHandler, type UploadsHandler,
} from "./odd_micro.ts";
import type { M } from "./odd_pb.ts";
const heard: string[] = [];
class Ticks implements TicksHandler { async *new({ s }: M) { yield { s }; } }
class Uploads implements UploadsHandler {
  async new(requests: AsyncIterable<M>) { for await (const { s } of requests) return { s }; return {}; }
}
class Chats implements ChatsHandler { async *new(requests: AsyncIterable<M>) { yield* requests; } }
class Events implements EventsHandler { new({ s }: M) { heard.push("event " + s); } }
const call = (method: { name: string }) => heard.push(method.name);
const client = { serverStream: call, clientStream: call, bidi: call } as never;
createTicksClient(client).new({ s: "a" });
createUploadsClient(client).new([{ s: "a" }]);
createChatsClient(client).new([{ s: "a" }]);
const handlers: Function[] = [];
const note = (_: unknown, handler: Function) => handlers.push(handler);
const server = { serverStream: note, clientStream: note, bidi: note, subscribe: note } as never;
registerTicksHandler(server, new Ticks());
registerUploadsHandler(server, new Uploads());
registerChatsHandler(server, new Chats());
registerEventsHandler(server, new Events());
async function* one() { yield { s: "b" }; }
const [ticks, uploads, chats, events] = handlers as [Function, Function, Function, Function];
for await (const { s } of ticks({ s: "b" })) heard.push(s);
heard.push((await uploads(one())).s);
for await (const { s } of chats(one())) heard.push(s);
events({ s: "b" });
console.log(heard.join());
`,
      ],
      [
        "main.ts",
        `import type { CallContext } from "@micro-es/runtime";
import { createSClient, registerSHandler, type SClient, type SHandler } from "./odd_micro.ts";
import type { M } from "./odd_pb.ts";
class Handler implements Pick<SHandler, "new" | "__proto__$" | "get"> {
  new(request: M) { return { s: request.s + "new" }; }
  __proto__$(request: M) { return { s: request.s }; }
  async get(request: M, _: CallContext) { return { s: request.s }; }
}
const called: string[] = [];
const client: SClient = createSClient({ unary: (method: { name: string }) => called.push(method.name) } as never);
client.new({ s: "a" });
client.__proto__$({ s: "a" });
const handlers = new Map<string, Function>();
registerSHandler(
  { unary: (method: { name: string }, handler: Function) => handlers.set(method.name, handler) } as never,
  new Proxy(new Handler(), {
    get: (it, name) => Reflect.get(it, name) ?? (() => ({})),
  }) as unknown as SHandler,
);
called.push(handlers.get("test.v1.S/New")!({ s: "b" }, {}).s, String(Object.getPrototypeOf(client) === Object.prototype));
console.log(called.join());
`,
      ],
    ]);
  });
  afterAll(() => own.remove());

  test("are methods that can be called and implemented", async () => {
    expect(await own.run("main.ts")).toBe("test.v1.S/New,test.v1.S/__proto__,bnew,true\n");
  });

  test("may be streams and subscribers", async () => {
    expect(await own.run("kinds.ts")).toBe(
      "test.v1.Ticks/New,test.v1.Uploads/New,test.v1.Chats/New,b,b,b,event b\n",
    );
  });

  test("type-check", async () => {
    expect(await own.typeErrors()).toEqual([]);
  });
});

test("the output type-checks under strict flags", async () => {
  expect(await workspace.typeErrors()).toEqual([]);
});

test("the output works", async () => {
  workspace.write([
    [
      "main.ts",
      `
import * as micro from "./clash/clash_micro.ts";
const calls: string[] = [];
const handlers = new Map<string, Function>();
const note = (method: { name: string }, handler: Function) => handlers.set(method.name, handler);
const server = {
  unary: note, serverStream: note, clientStream: note, bidi: note,
  subscribe: (topic: { name: string }, handler: Function) => handlers.set(topic.name, handler),
};
micro.registerGreeterHandler(server as never, new Proxy({}, {
  get: (_, member) => (request: unknown) => ({ member, request }),
}) as never);
const call = (method: { name: string }, request: unknown) => handlers.get(method.name)!(request, {});
const client = await micro.createGreeterClient({
  unary: call, serverStream: call, clientStream: call, bidi: call,
} as never);
for (const member of Object.keys(client)) calls.push((client as never)[member]({}).member);
console.log(JSON.stringify({
  same: Object.keys(client).join() === calls.join(),
  calls,
  topics: [...handlers.keys()].filter((name) => !name.includes("/")),
  key: [micro.EventTopic$.key!({}), micro.EventTopic$.key!({ constructor$: 7n })],
  decoded: micro.ObjectCodec.decode(micro.ObjectCodec.encode({ text: "hi" })).text,
  types: micro.clashCodecs$.map((codec) => codec.typeName),
}));
`,
    ],
  ]);
  const result = JSON.parse(await workspace.run("main.ts"));
  expect(result).toMatchObject({
    same: true,
    topics: ["event", "happened"],
    key: ["0", "7"],
    decoded: "hi",
  });
  expect(result.calls).toContain("then$");
  expect(new Set(result.types).size).toBe(result.types.length);
  expect(result.types).toContain("google.protobuf.Struct");
});
