import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFile, makeOwnDirectory, readOwnFile, replaceFile } from "./files.ts";

let folder = "";
let path = "";
let victim = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "micro-files-"));
  path = join(folder, "state.json");
  victim = join(folder, "victim");
  writeFileSync(victim, "precious");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("createFile", () => {
  test("creates a file for its owner alone", async () => {
    await createFile(path, "text", { durable: true });
    expect(readFileSync(path, "utf8")).toBe("text");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test.each([
    ["a file", () => writeFileSync(path, "")],
    ["a link to a file", () => symlinkSync(victim, path)],
    ["a link to nothing", () => symlinkSync(join(folder, "nothing"), path)],
  ])("fails where there is %s", async (_, plant) => {
    plant();
    await expect(createFile(path, "text")).rejects.toMatchObject({ code: "EEXIST" });
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(readdirSync(folder)).not.toContain("nothing");
  });
});

describe("replaceFile", () => {
  test("replaces a link and not what it points to", async () => {
    symlinkSync(victim, path);
    await replaceFile(path, "text");
    expect(readFileSync(path, "utf8")).toBe("text");
    expect(readFileSync(victim, "utf8")).toBe("precious");
  });

  test("uses no temporary name that can be guessed, and leaves none behind", async () => {
    for (const name of [`${path}.new`, `${path}.tmp`, `${path}.${process.pid}.new`]) {
      symlinkSync(victim, name);
    }
    await replaceFile(path, "text");
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(readdirSync(folder)).toHaveLength(5);
  });

  test("leaves nothing behind when it fails", async () => {
    await expect(replaceFile(join(folder, "nowhere/state"), "")).rejects.toThrow("ENOENT");
    await expect(replaceFile(folder, "text")).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(["victim"]);
    const nextTo = readdirSync(join(folder, ".."));
    expect(nextTo.filter((name) => name.startsWith(`.${basename(folder)}.`))).toEqual([]);
  });
});

describe("makeOwnDirectory", () => {
  test("creates a directory for its owner alone, once", async () => {
    const made = join(folder, "a", "b");
    await makeOwnDirectory(made);
    await makeOwnDirectory(made);
    expect(statSync(made).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o700);
  });

  test("refuses one that others planted or can write to", async () => {
    symlinkSync(folder, path);
    await expect(makeOwnDirectory(path)).rejects.toMatchObject({ code: "permission_denied" });
    chmodSync(folder, 0o777);
    await expect(makeOwnDirectory(folder)).rejects.toThrow(/others can write to it/);
  });
});

describe("readOwnFile", () => {
  test("reads what was written, and undefined if there is no file", async () => {
    expect(await readOwnFile(path)).toBeUndefined();
    await replaceFile(path, "text");
    expect(await readOwnFile(path)).toBe("text");
  });

  test("refuses a file that other users may have written", async () => {
    symlinkSync(victim, path);
    await expect(readOwnFile(path)).rejects.toMatchObject({
      code: "permission_denied",
      message: `${path} is not trusted: it is a symbolic link`,
    });
    chmodSync(victim, 0o666);
    await expect(readOwnFile(victim)).rejects.toMatchObject({ code: "permission_denied" });
  });
});
