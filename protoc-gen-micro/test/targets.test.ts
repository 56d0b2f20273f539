import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { compile, repository } from "./support/compile.ts";
import { Workspace } from "./support/workspace.ts";

// The type checker takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const names = ["greeter/v1/greeter.proto", "shop/v1/shop.proto"];
const compiled = compile({
  "greeter/v1/greeter.proto": readFileSync(
    join(repository, "examples/greeter/proto/greeter/v1/greeter.proto"),
    "utf8",
  ),
  "shop/v1/shop.proto": `syntax = "proto3";
package shop.v1;
import "google/protobuf/empty.proto";
import "greeter/v1/greeter.proto";
import "micro/v1/options.proto";
service Shop {
  option deprecated = true;
  rpc Welcome(greeter.v1.HelloRequest) returns (Customer);
  rpc OnGreeted(greeter.v1.Greeted) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe) = {};
  }
  rpc ThisIsAnRpcWithANameSoLongThatNothingFitsOnALineAnyMore(stream Customer) returns (stream Customer);
}
message Customer { string name = 1; }
`,
});

// The same user code over each form of the output: what it prints and which errors it has must not
// differ.
const user = (extension: string): string => `
import { createMemoryUse } from "./use.ts";
import * as greeter from "./greeter/v1/greeter_micro${extension}";
import * as shop from "./shop/v1/shop_micro${extension}";
console.log(JSON.stringify(await createMemoryUse(greeter, shop)));
`;
const use = (extension: string): string => `
import type { CallContext, EventContext } from "@micro-es/runtime";
import type * as Greeter from "./greeter/v1/greeter_micro${extension}";
import type * as Shop from "./shop/v1/shop_micro${extension}";
import type { GreeterHandler } from "./greeter/v1/greeter_micro${extension}";
import type { Greeted, HelloRequest, Line, WatchRequest } from "./greeter/v1/greeter_pb${extension}";

class Implementation implements GreeterHandler {
  hello(request: HelloRequest, _: CallContext) { return { message: "Hello " + request.name }; }
  async *watch(request: WatchRequest) { yield { number: request.count }; }
  async upload(requests: AsyncIterable<HelloRequest>) {
    let message = "";
    for await (const { name } of requests) message += name;
    return { message };
  }
  async *chat(requests: AsyncIterable<Line>) { yield* requests; }
  onGreeted(event: Greeted, context: EventContext) { void [event.name, context.topic]; }
}

export async function createMemoryUse(greeter: typeof Greeter, shop: typeof Shop): Promise<unknown> {
  const seen: unknown[] = [];
  const record = (method: { name: string }, handler: unknown, options?: unknown) => {
    seen.push([method.name, typeof handler, options]);
  };
  const server = { unary: record, serverStream: record, clientStream: record, bidi: record, subscribe: record };
  greeter.registerGreeterHandler(server as never, new Implementation());
  shop.registerShopHandler(server as never, new Proxy({} as Shop.ShopHandler, { get: () => () => ({}) }));
  const answer = (method: { service: string; name: string }) => seen.push([method.service, method.name]);
  const transport = { unary: answer, serverStream: answer, clientStream: answer, bidi: answer } as never;
  const client: Greeter.GreeterClient = greeter.createGreeterClient(transport);
  client.hello({ name: "Ada" }, { timeoutMs: 5 });
  client.upload([{ name: "Ada" }]);
  shop.createShopClient(transport).welcome({});
  const key = greeter.GreetedTopic.key?.({ name: "Ada" });
  const bytes = greeter.HelloRequestCodec.encode({ name: "Ada" });
  const list = [...greeter.greeterCodecs, ...shop.shopCodecs].map((codec) => codec.typeName);
  return { seen, key, decoded: greeter.HelloRequestCodec.decode(bytes).name, list };
}
`;
const wrong = (extension: string): string => `
import { createGreeterClient, GreetedTopic, type GreeterHandler } from "./greeter/v1/greeter_micro${extension}";
const client = createGreeterClient(undefined as never);
client.hello({ nam: "Ada" });
client.watch({ count: 1 }).then();
client.onGreeted({});
GreetedTopic.key?.(1);
export const incomplete: GreeterHandler = {};
`;

const workspaces = new Map<string, Workspace>();
beforeAll(() => {
  for (const [form, parameter] of [
    ["ts", "target=ts,import_extension=ts"],
    ["js", "target=js+dts,import_extension=js"],
    ["cjs", "target=js+dts,import_extension=js,js_import_style=legacy_commonjs"],
  ] as const) {
    const workspace = new Workspace();
    workspaces.set(form, workspace);
    const extension = form === "ts" ? ".ts" : ".js";
    workspace.generate(compiled, names, parameter);
    workspace.write([
      ["main.mts", user(extension)],
      ["use.ts", use(extension)],
      ["wrong.ts", wrong(extension)],
      ["package.json", JSON.stringify({ type: form === "cjs" ? "commonjs" : "module" })],
    ]);
  }
});
afterAll(() => {
  for (const workspace of workspaces.values()) workspace.remove();
});

describe("TypeScript, JavaScript with declarations, and CommonJS", () => {
  test("do the same", async () => {
    const [ts, js, cjs] = await Promise.all(
      [...workspaces.values()].map((workspace) => workspace.run("main.mts")),
    );
    expect(JSON.parse(ts!).decoded).toBe("Ada");
    expect(JSON.parse(ts!).seen).toContainEqual([
      "greeter.greeted",
      "function",
      { queue: "stats", name: "greeter.v1.Greeter/OnGreeted", service: "greeter" },
    ]);
    expect(js).toBe(ts);
    expect(cjs).toBe(ts);
  });

  testInCi("have the same types", async () => {
    const [ts, js] = await Promise.all(
      [workspaces.get("ts")!, workspaces.get("js")!].map((workspace) => workspace.typeErrors()),
    );
    expect(
      ts!.filter((line) => /^\S+\.ts\(/.test(line)).map((line) => line.slice(0, line.indexOf("("))),
    ).toEqual(["wrong.ts", "wrong.ts", "wrong.ts", "wrong.ts", "wrong.ts"]);
    expect(js).toEqual(ts);
  });
});

test("declarations export the same as the TypeScript", () => {
  const exported = (text: string): string[] =>
    [...text.matchAll(/^export (?:declare )?(?:type|interface|function|const) ([\w$]+)/gm)]
      .map(([, name]) => name!)
      .sort();
  const names = ["greeter/v1/greeter", "shop/v1/shop"];
  for (const name of names.flatMap((it) => [`${it}_micro`, `${it}_codec`])) {
    const read = (form: string, extension: string): string =>
      readFileSync(join(workspaces.get(form)!.folder, name + extension), "utf8");
    const dts = read("js", ".d.ts");
    expect(exported(dts)).toEqual(exported(read("ts", ".ts")));
    expect(dts).not.toMatch(/=>|=\s*\/\*@__PURE__|return /);
  }
});
