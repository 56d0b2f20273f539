import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sourceFile } from "../src/rules/source-paths.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "micro-source-paths-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, text = ""): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

test("a file is named relative to the working directory, wherever the root of its module is", () => {
  write(
    "buf.yaml",
    'version: v2\nmodules:\n  - path: schemas/shop\n  - name: x\n    path: "other"\n',
  );
  write("schemas/shop/shop/v1/shop.proto");
  write("other/other.proto");
  write("proto/greeter/v1/greeter.proto");
  write("top.proto");
  expect(sourceFile("shop/v1/shop.proto", folder)).toBe("schemas/shop/shop/v1/shop.proto");
  expect(sourceFile("other.proto", folder)).toBe("other/other.proto");
  expect(sourceFile("greeter/v1/greeter.proto", folder)).toBe("proto/greeter/v1/greeter.proto");
  expect(sourceFile("top.proto", folder)).toBe("top.proto");
});

test("searches the folders of a buf.work.yaml", () => {
  write("buf.work.yaml", "version: v1\ndirectories:\n  - a/proto\n  - b/proto # ours\n");
  write("b/proto/b.proto");
  expect(sourceFile("b.proto", folder)).toBe("b/proto/b.proto");
});

test("a file that is not found, or found twice, keeps its name", () => {
  write("one/a.proto");
  write("two/a.proto");
  expect(sourceFile("a.proto", folder)).toBe("a.proto");
  expect(sourceFile("absent.proto", folder)).toBe("absent.proto");
});
