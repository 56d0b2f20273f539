import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { commands } from "../src/commands.ts";
import { micro } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-loaded-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The files that a run of the program has loaded, as Node's coverage lists them. */
async function loadedBy(...words: readonly string[]): Promise<readonly string[]> {
  const folder = mkdtempSync(join(scratch, "run-"));
  await micro(words, { env: { NODE_V8_COVERAGE: folder } });
  const reports = readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as { result: { url: string }[] },
  );
  return reports.flatMap(({ result }) =>
    result.map(({ url }) => url).filter((url) => url.startsWith("file:")),
  );
}

const packagesOf = (files: readonly string[]) => [
  ...new Set(files.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])),
];

/**
 * The files of the runtime, without those with which every command shows results, suggests names
 * and exits.
 */
const runtimeFiles = (files: readonly string[]) =>
  files.filter((url) =>
    /\/runtime\/(?!dist\/base\/(?:codes|redact|suggest|terminal-text)\.js$)/.test(url),
  );

describe("loads only what a command needs", () => {
  test.each([["--help"], ["--version"], ["registry"], ["servics"]])(
    "micro %s",
    async (...words) => {
      const files = await loadedBy(...words);
      expect(files.length).toBeGreaterThan(5);
      expect(files.length).toBeLessThan(20);
      expect(packagesOf(files)).toEqual([]);
      expect(runtimeFiles(files)).toEqual([]);
      expect(files.filter((url) => url.includes("/commands/"))).toEqual([]);
    },
  );

  test.each(commands.map(({ name }) => [name]))(
    "micro %s --help, which loads the command's arguments and not its implementation",
    async (name) => {
      const files = await loadedBy(...name.split(" "), "--help");
      expect(files.filter((url) => url.includes("/commands/")).length).toBe(1);
      expect(packagesOf(files)).toEqual([]);
      expect(runtimeFiles(files)).toEqual([]);
    },
  );

  test("micro completion bash, which lists the arguments of every command", async () => {
    const files = await loadedBy("completion", "bash");
    expect(files.filter((url) => url.includes("/commands/")).length).toBe(commands.length);
    expect(packagesOf(files)).toEqual([]);
    expect(runtimeFiles(files)).toEqual([]);
  });
});
