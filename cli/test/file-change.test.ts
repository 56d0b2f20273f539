import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeChange } from "../src/file-change.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "micro-file-change-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("a file that is being written is never seen partially", async () => {
  const path = join(folder(), "a/file");
  const [long, short] = ["x".repeat(8 << 20), "y"];
  await writeChange({ path, before: undefined, after: long });
  let writing = true;
  const seen = (async () => {
    const texts = new Set<string>();
    while (writing) texts.add(await readFile(path, "utf8"));
    return texts;
  })();
  for (let turn = 0; turn < 10; turn++) {
    for (const after of [short, long]) await writeChange({ path, before: undefined, after });
  }
  writing = false;
  for (const text of await seen) expect(text === long || text === short).toBe(true);
  expect(readFileSync(path, "utf8")).toBe(long);
});

test("a file that cannot be written leaves nothing behind", async () => {
  const around = folder();
  const path = join(around, "taken");
  mkdirSync(join(path, "by-a-folder"), { recursive: true });
  await expect(writeChange({ path, before: undefined, after: "text" })).rejects.toThrow();
  expect(readdirSync(around)).toEqual(["taken"]);
});
