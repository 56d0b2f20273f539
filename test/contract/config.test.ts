import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  envSource,
  type FileSourceOptions,
  fileSource,
  flagsSource,
  memorySource,
} from "@micro-es/runtime";
import type { ConfigTable } from "@micro-es/runtime/driver";
import { stringify as toToml } from "smol-toml";
import { describe, test } from "vitest";
import { stringify as toYaml } from "yaml";
import { type ConfigSourceFixture, configSourceContract } from "./config.ts";

type FileFormat = NonNullable<FileSourceOptions["format"]>;

const writers: Record<FileFormat, (values: ConfigTable) => string> = {
  json: (values) => JSON.stringify(values, undefined, 2),
  yaml: (values) => toYaml(values),
  toml: (values) => toToml(values),
};

async function fileFixture(format: FileFormat): Promise<ConfigSourceFixture> {
  const directory = await mkdtemp(join(tmpdir(), "micro-config-"));
  const path = join(directory, `config.${format}`);
  const initial: ConfigTable = { a: "1", b: { c: 2, d: [true, "x", { e: 1.5 }] } };
  const change = async (values: ConfigTable) => {
    await writeFile(`${path}.new`, writers[format](values));
    await rename(`${path}.new`, path);
  };
  await change(initial);
  return {
    source: fileSource(path),
    initial,
    change,
    spoil: () => writeFile(path, "{ a: [1, "),
    cleanUp: () => rm(directory, { recursive: true }),
  };
}

const sources: Record<string, () => Promise<ConfigSourceFixture>> = {
  env: async () => ({
    source: envSource({ prefix: "SHOP_", env: { SHOP_A: "0", SHOP_B__C_D: "x", OTHER: "y" } }),
    initial: { a: "0", b: { cD: "x" } },
  }),
  flags: async () => ({
    source: flagsSource({ argv: ["--a=0", "--b.c-d", "--no-e", "--f=1", "--f=2", "--", "rest"] }),
    initial: { a: "0", b: { cD: true }, e: false, f: ["1", "2"] },
  }),
  memory: async () => {
    const source = memorySource({ a: "1", b: { c: [1, { d: null }] } });
    return {
      source,
      initial: { a: "1", b: { c: [1, { d: null }] } },
      change: async (values) => source.set(values),
    };
  },
  "file json": () => fileFixture("json"),
  "file yaml": () => fileFixture("yaml"),
  "file toml": () => fileFixture("toml"),
};

describe.each(Object.entries(sources))("config source %s", (_name, create) => {
  for (const { name, run } of configSourceContract(create)) test(name, run);
});
