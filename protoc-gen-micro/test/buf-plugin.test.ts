import { execFile } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { breakingRules } from "../src/breaking/breaking-rules.ts";
import { CheckService } from "../src/gen/buf/plugin/check/v1/check_pb.ts";
import { SpecSchema } from "../src/gen/pluginrpc/v1/pluginrpc_pb.ts";
import { lintRules } from "../src/rules/lint-rules.ts";
import { changes } from "./support/buf-plugin-changes.ts";
import { schemas } from "./support/buf-plugin-schemas.ts";
import { repository } from "./support/compile.ts";

const run = promisify(execFile);
const scratch = mkdtempSync(join(tmpdir(), "micro-buf-plugin-"));
const bin = join(scratch, "node_modules/.bin");
const plugins = "plugins:\n  - plugin: buf-plugin-micro\n";

// The plugin as it is packed, where npm would link it.
beforeAll(async () => {
  const dist = join(scratch, "node_modules/protoc-gen-micro/dist");
  await run(process.execPath, [join(repository, "protoc-gen-micro/scripts/bundle.js"), dist]);
  writeFileSync(join(dist, "package.json"), '{ "type": "module" }');
  mkdirSync(bin, { recursive: true });
  writeFileSync(
    join(bin, "buf-plugin-micro"),
    `#!${process.execPath}\nimport(${JSON.stringify(join(dist, "buf-plugin.js"))});\n`,
  );
  chmodSync(join(bin, "buf-plugin-micro"), 0o755);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** What buf found, as `file:line RULE`, in order. */
const found = ({ output }: Ended) =>
  output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { path?: string; start_line: number; type: string })
    .map(({ path, start_line, type }) => `${path}:${start_line} ${type}`)
    .sort();

/** Where the marks in the sources say that something is to be found: `// <- RULE` on its line. */
const marked = (sources: Readonly<Record<string, string>>) =>
  Object.entries(sources)
    .flatMap(([file, text]) =>
      text.split("\n").flatMap((line, index) => {
        const rules = /\/\/ <- ([A-Z_ ]+)$/.exec(line)?.[1]?.split(" ") ?? [];
        return rules.map((rule) => `${file}:${index + 1} ${rule}`);
      }),
    )
    .sort();

function workspace(sources: Readonly<Record<string, string>>, config: string): string {
  const folder = mkdtempSync(join(scratch, "in-"));
  cpSync(join(repository, "proto/micro"), join(folder, "micro"), { recursive: true });
  for (const [name, text] of Object.entries(sources)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, "buf.yaml"), `version: v2\n${config}`);
  return folder;
}

async function buf(cwd: string, ...args: readonly string[]): Promise<Ended> {
  const path = `${bin}:${join(repository, "node_modules/.bin")}:${process.env.PATH}`;
  try {
    const { stdout } = await run("buf", [...args], { cwd, env: { ...process.env, PATH: path } });
    return { code: 0, output: stdout };
  } catch (reason) {
    const { code, stdout, stderr } = reason as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

// buf starts the plugin several times a run, which takes its time on a busy machine.
const patient = { timeout: 240_000 };

describe("buf lint with buf-plugin-micro", patient, () => {
  const lint = (folder: string) => buf(folder, "lint", "--error-format", "json");

  test("finds each wrong use of an option, with file and line, and nothing else", async () => {
    const config = `lint:\n  use: [MICRO, MICRO_STRICT]\n  ignore: [micro]\n${plugins}`;
    const folder = workspace(schemas, config);
    const ended = await lint(folder);
    expect(found(ended)).toEqual(marked(schemas));
    expect(ended.code).toBe(100);
    // Every rule is in the list above at least once.
    const hit = new Set(marked(schemas).map((line) => line.split(" ")[1]));
    expect([...hit].sort()).toEqual(Object.keys(lintRules).sort());
  });

  testInCi(
    "by default reports mistakes and not matters of taste, and passes correct schemas",
    async () => {
      const source = `syntax = "proto3";
package fine.v1;
import "micro/v1/options.proto";
message Done {
  option (micro.v1.topic) = { name: "Done" };
  string id = 1;
}
`;
      const good = workspace(
        { "fine/v1/fine.proto": source },
        `lint:\n  ignore: [micro]\n${plugins}`,
      );
      expect(await lint(good)).toEqual({ code: 0, output: "" });
      const wrong = { "fine/v1/fine.proto": source.replace('"Done"', '"Done" key: "no"') };
      const bad = await lint(workspace(wrong, `lint:\n  ignore: [micro]\n${plugins}`));
      expect(found(bad)).toEqual(["fine/v1/fine.proto:5 MICRO_TOPIC_KEY"]);
      expect(bad.output).toContain("did you mean id?");
    },
  );

  testInCi(
    "lists its options when given an unknown one, and describes itself when run by hand",
    async () => {
      const folder = workspace({}, `${plugins}    options:\n      strict: true\n`);
      const ended = await lint(folder);
      expect(ended.output).toContain("unknown option strict; buf-plugin-micro has no options");
      expect(ended.code).toBe(1);
      const byHand = run(join(bin, "buf-plugin-micro"), []);
      await expect(byHand).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/buf\.yaml/),
      });
    },
  );

  test("reports its rules to a caller that uses JSON", async () => {
    const path = "/buf.plugin.check.v1.CheckService/ListRules";
    const child = run(join(bin, "buf-plugin-micro"), [path, "--format", "json"]);
    child.child.stdin?.end();
    const { value } = JSON.parse((await child).stdout);
    const ids = (value.rules as { id: string }[]).map(({ id }) => id);
    expect(ids).toEqual([...Object.keys(lintRules), ...Object.keys(breakingRules)]);
  });

  test("lists its procedures in either format", async () => {
    const { typeName, methods } = CheckService;
    const procedures = methods.map(({ name }) => ({ path: `/${typeName}/${name}` }));
    const spec = create(SpecSchema, { procedures });
    const plugin = join(bin, "buf-plugin-micro");
    const { stdout } = await run(plugin, ["--spec", "--format", "binary"], { encoding: "buffer" });
    expect(new Uint8Array(stdout)).toEqual(toBinary(SpecSchema, spec));
    const json = await run(plugin, ["--spec", "--format", "json"]);
    expect(JSON.parse(json.stdout)).toEqual(toJson(SpecSchema, spec));
    expect(await run(plugin, ["--protocol"])).toMatchObject({ stdout: "1\n" });
  });

  test("is documented rule by rule", () => {
    const readme = readFileSync(join(repository, "protoc-gen-micro/README.md"), "utf8");
    for (const [id, { purpose }] of [
      ...Object.entries(lintRules),
      ...Object.entries(breakingRules),
    ]) {
      const sentence = purpose.replace(/^Checks that /, "").replace(/\.$/, "");
      expect(readme).toContain(`| \`${id}\` | ${sentence} |`);
    }
  });
});

describe("buf breaking with buf-plugin-micro", patient, () => {
  const config = `breaking:\n  use: [MICRO]\n${plugins}`;

  test("finds each breaking change, with file and line, and nothing else", async () => {
    const before = Object.fromEntries(changes.map(({ file, was }) => [file, was]));
    const after = Object.fromEntries(
      changes.flatMap(({ file, now }) => (now === undefined ? [] : [[file, now]])),
    );
    const against = workspace(before, config);
    const ended = await buf(
      workspace(after, config),
      ...["breaking", "--error-format", "json", "--against", against],
    );
    expect(found(ended)).toEqual(marked(after));
    expect(ended.code).toBe(100);
    const hit = new Set(marked(after).map((line) => line.split(" ")[1]));
    expect([...hit].sort()).toEqual(Object.keys(breakingRules).sort());
    expect(await buf(against, "breaking", "--against", against)).toEqual({ code: 0, output: "" });
  });
});
