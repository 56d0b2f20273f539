import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Backend,
  fileSync,
  httpBroker,
  mdnsRegistry,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  memorySync,
} from "@micro-es/runtime";
import { fileStore } from "@micro-es/runtime/store/file";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "micro-es-guarantees-"));
const registry = memoryRegistry();
const drivers: Record<string, Backend & { readonly guarantees: object }> = {
  "memoryRegistry()": registry,
  "mdnsRegistry()": mdnsRegistry(),
  "memoryBroker()": memoryBroker(),
  "httpBroker()": httpBroker({ registry }),
  "memoryStore()": memoryStore(),
  "fileStore()": await fileStore({ path: folder }),
  "memorySync()": memorySync(),
  "fileSync()": fileSync({ path: folder }),
};

afterAll(async () => {
  for (const driver of Object.values(drivers)) await driver.close();
  rmSync(folder, { recursive: true });
});

test("the README's table says what each implementation promises as data", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `(\w+\(\))` \| (.*) \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(drivers));
  for (const [, name, words] of rows) {
    const said = Object.fromEntries((words ?? "").split(", ").map((word) => word.split(" ")));
    expect({ name, ...drivers[name ?? ""]?.guarantees }).toMatchObject({ name, ...said });
  }
});
