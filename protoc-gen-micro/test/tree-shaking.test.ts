import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, repository } from "./support/compile.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace();

beforeAll(() => {
  const source = join(repository, "examples/greeter/proto/greeter/v1/greeter.proto");
  const compiled = compile({ "greeter.proto": readFileSync(source, "utf8") });
  workspace.generate(compiled, ["greeter.proto"], "target=ts,import_extension=ts");
});
afterAll(() => workspace.remove());

/**
 * What is left of the generated file in a bundle that exports these names of it; packages stay
 * outside, and descriptors are a file of their own.
 */
async function bundle(names: string): Promise<string> {
  const entry =
    names === ""
      ? 'import "./greeter_micro.ts";'
      : `export { ${names} } from "./greeter_micro.ts";`;
  workspace.write([["entry.ts", entry]]);
  const result = await build({
    entryPoints: [join(workspace.folder, "entry.ts")],
    bundle: true,
    write: false,
    outdir: workspace.folder,
    splitting: true,
    format: "esm",
    packages: "external",
    logLevel: "silent",
  });
  return result.outputFiles.find(({ path }) => path.endsWith("entry.js"))!.text;
}

describe("a bundle with", () => {
  test("only the client has no handler and no topic", async () => {
    const code = await bundle("createGreeterClient");
    expect(code).toContain("client.unary(Greeter_hello");
    expect(code).not.toMatch(/register|server\.|GreetedTopic|greeter\.greeted"|greeterCodecs/);
  });

  test("only the handler has no client", async () => {
    const code = await bundle("registerGreeterHandler");
    expect(code).toContain("server.unary(Greeter_hello");
    expect(code).toContain("GreetedTopic");
    expect(code).not.toMatch(/createGreeterClient|client\.|greeterCodecs/);
  });

  test("only the topic has no method and no other message", async () => {
    const code = await bundle("GreetedTopic");
    expect(code).toContain('name: "greeter.greeted"');
    // The names in the list of the file's fields are text.
    expect(code).not.toMatch(
      /Greeter_|createGreeterClient|register|HelloRequest[^ ]|greeterCodecs/,
    );
  });

  test("only the codec of one message has no other message and no wiring", async () => {
    const code = await bundle("TickCodec");
    expect(code).toContain("function readTick(");
    expect(code).not.toMatch(/HelloRequest|Greeter_|GreetedTopic|greeterCodecs/);
  });

  test("no import is empty", async () => {
    const code = await bundle("");
    expect(code.replace(/^import [^;]*;$|^\/\/.*$/gm, "").trim()).toBe("");
  });
});
