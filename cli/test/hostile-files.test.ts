import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { micro as run } from "./support/micro.ts";

// Files that do not match their names: each is an error that names the file, without a stack trace.

let folder = "";
let env: Record<string, string> = {};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "micro-files-"));
  env = { HOME: folder, XDG_CONFIG_HOME: folder, MICRO_CONTEXT: "", MICRO_REGISTRY: "memory" };
  mkdirSync(join(folder, "directory"));
  mkdirSync(join(folder, "micro"));
  const message = { type: Type.MESSAGE, typeName: ".t.v1.M", label: Label.OPTIONAL };
  const method = { name: "Do", inputType: ".t.v1.M", outputType: ".t.v1.M" };
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: "t.proto",
        package: "t.v1",
        syntax: "proto3",
        messageType: [{ name: "M", field: [{ name: "m", number: 1, jsonName: "m", ...message }] }],
        service: [
          { name: "S", method: [method, { ...method, name: "Up", clientStreaming: true }] },
        ],
      },
    ],
  });
  writeFileSync(join(folder, "set.binpb"), toBinary(FileDescriptorSetSchema, set));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const micro = (...words: readonly string[]) => run(words, { cwd: folder, env });
const call = (method: string, request: string) =>
  micro("call", "127.0.0.1:1", method, request, "--descriptor-set", "set.binpb");
const nested = (depth: number, inner: string) =>
  `${'{"m":'.repeat(depth)}${inner}${"}".repeat(depth)}`;

async function expectRefusal(ended: ReturnType<typeof micro>, words: RegExp): Promise<void> {
  const { stderr, code } = await ended;
  expect(stderr).toMatch(words);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(code).toBe(2);
}

describe("a request", () => {
  test.each([
    ["is valid", "{}"],
    ["has a wrong field", '{"x":1}'],
  ])("is refused if nested 20,000 deep and %s", async (_, inner) => {
    writeFileSync(join(folder, "deep.json"), nested(20_000, inner));
    await expectRefusal(call("Do", "@deep.json"), /deep\.json is nested more than 100 deep/);
  });

  test("may be nested 90 deep", async () => {
    const { stderr } = await call("Do", nested(90, "{}"));
    expect(stderr).toMatch(/^error: unavailable: /);
    await expectRefusal(call("Do", nested(90, '{"x":1}')), /has no such field/);
  });

  test("is refused if it is a directory or missing", async () => {
    await expectRefusal(call("Do", "@directory"), /directory is a directory, not a file/);
    await expectRefusal(call("Do", "@nothing"), /there is no file nothing/);
  });
});

describe("a descriptor set", () => {
  test.each([
    ["directory", /directory is a directory, not a file/],
    ["nothing", /there is no file nothing/],
    ["rubbish", /rubbish is not a descriptor set/],
  ])("is refused if it is %s", async (name, words) => {
    writeFileSync(join(folder, "rubbish"), Buffer.alloc(100, 0xff));
    await expectRefusal(micro("describe", "127.0.0.1:1", "--descriptor-set", name), words);
  });
});

describe("named environments", () => {
  test.each([
    ["[]"],
    ["null"],
    ['{"contexts":[]}'],
    ['{"contexts":{"a":[]}}'],
    ['{"contexts":{"a":{"X":1}}}'],
  ])("are refused if the file contains %s", async (text) => {
    writeFileSync(join(folder, "micro/contexts.json"), text);
    await expectRefusal(micro("services"), /contexts\.json does not hold named environments/);
  });

  test("are refused if the file is a directory", async () => {
    mkdirSync(join(folder, "micro/contexts.json"));
    await expectRefusal(micro("services"), /contexts\.json is a directory, not a file/);
  });

  test("cannot be named like members of every object", async () => {
    for (const name of ["constructor", "__proto__", "toString"]) {
      await expectRefusal(
        micro("services", "--context", name),
        new RegExp(`there is no environment named ${name}`),
      );
    }
  });
});

describe("a project", () => {
  test.each([
    ["package.json", "null", /package\.json does not contain an object/],
    ["package.json", '{"scripts":[]}', /"scripts" of .*package\.json must be an object/],
    ["package.json", '{"micro":null}', /"micro" of .*package\.json must be an object/],
    ["package.json", '{"scripts":{"start":5}}', /is not a service: it needs a "start" script/],
    [
      "pnpm-workspace.yaml",
      `a: &a [x]\n${Array.from({ length: 9 }, (_, i) => `b${i}: &b${i} [${Array(9).fill(i === 0 ? "*a" : `*b${i - 1}`)}]`).join("\n")}\n`,
      /pnpm-workspace\.yaml is not valid YAML: .*alias/,
    ],
  ])("is refused if its %s contains %s", async (name, text, words) => {
    writeFileSync(join(folder, name), text);
    await expectRefusal(micro("run"), words);
  });
});
