import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
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

describe("what a command line needs is all that is loaded", () => {
  test.each([["--help"], ["--version"], ["registry"], ["servics"]])(
    "micro %s",
    async (...words) => {
      const files = await loadedBy(...words);
      expect(files.length).toBeGreaterThan(5);
      expect(files.length).toBeLessThan(20);
      expect(packagesOf(files)).toEqual(["fastest-levenshtein"]);
      expect(files.filter((url) => /\/runtime\/|\/commands\//.test(url))).toEqual([]);
    },
  );

  test.each([
    ["scaffold", "--help"],
    ["completion", "bash"],
  ])("micro %s %s", async (...words) => {
    // What reads and writes source code takes longer to load than all else together.
    const files = await loadedBy(...words);
    expect(files.length).toBeGreaterThan(5);
    expect(packagesOf(files).filter((it) => /ts-morph|handlebars|^nats$/.test(it))).toEqual([]);
  });
});
