import { afterAll, expect, test, vi } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { compile, proto } from "./support/compile.ts";
import { Editor } from "./support/editor.ts";
import { Workspace } from "./support/workspace.ts";

// The first question to the language service loads all types.
vi.setConfig({ testTimeout: 60_000 });

const compiled = compile({
  "greeter.proto": proto(
    `
service Greeter {
  // Greets one person.
  rpc Hello(HelloRequest) returns (HelloResponse) {
    option (micro.v1.method) = { timeout: { seconds: 2 } };
  }
  rpc Watch(HelloRequest) returns (stream HelloResponse);
  rpc Upload(stream HelloRequest) returns (other.v1.Summary);
  rpc Chat(stream HelloRequest) returns (stream HelloResponse);
  rpc Delete(HelloRequest) returns (google.protobuf.Empty) { option deprecated = true; }
  rpc OnGreeted(Greeted) returns (google.protobuf.Empty) { option (micro.v1.subscribe) = {}; }
}
message HelloRequest { string name = 1; }
message HelloResponse {}
message Greeted { option (micro.v1.topic) = { name: "greeted" }; }
`,
    'import "other.proto";',
  ),
  "other.proto": 'syntax = "proto3"; package other.v1; message Summary { string text = 1; }',
});

const workspace = new Workspace();
workspace.generate(compiled, ["greeter.proto", "other.proto"], "target=ts,import_extension=ts");
afterAll(() => workspace.remove());

const { folder } = workspace;
const handler = `${folder}/handler.ts`;
const caller = `${folder}/caller.ts`;
const editor = new Editor(folder, {
  "handler.ts": `import type { GreeterHandler } from "./greeter_micro.ts";

export class Greeter implements GreeterHandler {
}
`,
  "caller.ts": `import type { GreeterClient } from "./greeter_micro.ts";
export async function call(greeter: GreeterClient): Promise<void> {
  await greeter.delete({});
  await greeter.hello({ name: "Ada" });
}
`,
});

test("an incomplete handler gets an error that names the missing methods", () => {
  expect(editor.errors(handler)).toEqual([
    expect.stringContaining(
      "missing the following properties from type 'GreeterHandler': hello, watch, upload, chat, and 2 more",
    ),
  ]);
});

testInCi("implement interface writes whole signatures and their imports", () => {
  const text = editor.implementInterface(handler);
  for (const signature of [
    "  hello(request: HelloRequest, context: CallContext): Awaitable<HelloResponseInit> {",
    "  watch(request: HelloRequest, context: CallContext): AsyncIterable<HelloResponseInit> {",
    "  upload(requests: AsyncIterable<HelloRequest>, context: CallContext): Awaitable<SummaryInit> {",
    "  delete(request: HelloRequest, context: CallContext): Awaitable<EmptyInit> {",
    "  chat(requests: AsyncIterable<HelloRequest>, context: CallContext): AsyncIterable<HelloResponseInit> {",
    "  onGreeted(event: Greeted, context: EventContext): Awaitable<void> {",
  ]) {
    expect(text).toContain(signature);
  }
  expect(text).toMatch(/import .*HelloResponseInit.* from "\.\/greeter_(micro|codec)\.ts";/);
  expect(text).toMatch(/import .*HelloRequest.* from "\.\/greeter_pb\.ts";/);
  for (const name of ["Awaitable", "CallContext", "EventContext"]) {
    expect(text).toMatch(new RegExp(`^import type .*\\b${name}\\b`, "m"));
  }
  const fixed = new Editor(folder, { "fixed.ts": text });
  expect(
    fixed.errors(`${folder}/fixed.ts`).filter((error) => !error.includes("never read")),
  ).toEqual([]);
});

test("go to definition leads to the client's method", () => {
  const { file, line } = editor.definition(caller, "hello(");
  expect(file).toBe(`${folder}/greeter_micro.ts`);
  expect(line).toBe(
    "hello(request: HelloRequestInit, options?: CallOptions): Promise<HelloResponse>;",
  );
});

test("a hover shows the signature, the comment and the policy", () => {
  const { signature, documentation } = editor.hover(caller, "hello(");
  expect(signature).toBe(
    "(method) GreeterClient.hello(request: HelloRequestInit, options?: CallOptions): Promise<HelloResponse>",
  );
  expect(documentation).toContain("Greets one person.\n\nTimeout 2 s.");
});

test("a deprecated rpc is struck through, and no other", () => {
  expect(editor.struck(caller)).toEqual(["delete"]);
});
