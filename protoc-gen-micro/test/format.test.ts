import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compile, generate, proto, repository } from "./support/compile.ts";

const long = "AndThisIsHowLongNamesInTheWildAre";
const example = (name: string): string =>
  readFileSync(join(repository, `examples/${name}/proto/${name}/v1/${name}.proto`), "utf8");

const compiled = compile({
  "greeter.proto": example("greeter"),
  "shop.proto": example("shop"),
  "long.proto": proto(`
service Service${long} {
  rpc Get(Get${long}Request) returns (Get${long}Response) {
    option idempotency_level = IDEMPOTENT;
    option (micro.v1.method) = {
      retry: { attempts: 3 on: ["unavailable", "aborted", "resource_exhausted", "internal"] }
      auth: { scopes: ["a", "b"] }
    };
  }
  rpc Get${long}(Get${long}Request) returns (Get${long}Response);
  rpc Watch${long}(Get${long}Request) returns (stream Get${long}Response);
  rpc On${long}(Happened${long}) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe) = { queue: "queue" };
  }
}
message Get${long}Request {}
message Get${long}Response {}
message Happened${long} { option (micro.v1.topic) = { name: "happened" key: "k" }; string k = 1; }
`),
});

// With what a reader looks for in a file; the functions of codecs below that are for no reader.
const parameter = "codec=reflect";

/** Imports aside: protoplugin writes them, each on one line. */
function withoutImports(code: string): string {
  return code.replace(/^import [^;]*;\n/gm, "").replace(/\n{3,}/g, "\n\n");
}

test.each([
  ["greeter.proto", "ts"],
  ["shop.proto", "ts"],
  ["long.proto", "ts"],
  ["greeter.proto", "js"],
  ["long.proto", "dts"],
])("a formatter has nothing to do: %s as %s", (file, target) => {
  const [code] = generate(compiled.request([file], `${parameter},target=${target}`)).values();
  const before = withoutImports(code!);
  const biome = join(repository, "node_modules/.bin/biome");
  const path = target === "js" ? "formatted.js" : "formatted.ts";
  const after = execFileSync(biome, ["format", `--stdin-file-path=${path}`], {
    cwd: repository,
    input: before,
    encoding: "utf8",
  });
  expect(before).toBe(after);
});
