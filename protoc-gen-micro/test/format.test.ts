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

// The functions that codec=fast writes are laid out for size, not for readers.
test.each([
  ["greeter_micro.ts", "codec=fast"],
  ["shop_micro.ts", "codec=fast"],
  ["long_micro.ts", "codec=fast"],
  ["long_micro.js", "codec=fast"],
  ["greeter_micro.js", "codec=fast,js_import_style=legacy_commonjs"],
  ["long_micro.d.ts", "codec=fast"],
  ["greeter_codec.ts", "codec=reflect"],
  ["long_codec.ts", "codec=reflect"],
  ["long_codec.d.ts", "codec=reflect"],
])("the output is already formatted: %s with %s", (name, parameter) => {
  const [base = "", , target = ""] = /^(.*?)_(micro|codec)\.(.*)$/.exec(name)?.slice(1) ?? [];
  const request = compiled.request(
    [`${base}.proto`],
    `${parameter},target=${target === "d.ts" ? "dts" : target}`,
  );
  // protoplugin writes the first lines, with an empty line too many for CommonJS.
  const before = generate(request)
    .get(name)!
    .replace(/\n{3,}/g, "\n\n");
  const biome = join(repository, "node_modules/.bin/biome");
  const path = target === "js" ? "formatted.js" : "formatted.ts";
  const after = execFileSync(biome, ["format", `--stdin-file-path=${path}`], {
    cwd: repository,
    input: before,
    encoding: "utf8",
  });
  expect(before).toBe(after);
});
